"""What helps those who work on the repository."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from conftest import REPOSITORY
from tools.why_skipped import MOST, summary


def test_the_most_frequent_reasons_are_told_and_the_rest_is_counted() -> None:
    reasons = [f"reason {number}" for number in range(1, MOST + 3) for _ in range(number)]
    told = "; ".join(f"{number} reason {number}" for number in range(MOST + 2, 2, -1))
    assert summary(reasons) == f"{len(reasons)} skipped: {told}; 3 for other reasons (-rs lists all)"


def test_a_reason_of_several_lines_is_told_in_one() -> None:
    assert summary(["no\n  network"]) == "1 skipped: 1 no network"


def test_a_run_of_tests_says_in_one_line_why_some_were_skipped(tmp_path: Path) -> None:
    (tmp_path / "test_some.py").write_text(
        "import pytest\n"
        "def test_one():\n    pytest.skip('no camera')\n"
        "def test_other():\n    pytest.importorskip('camera_of_nobody')\n"
        "def test_good():\n    pass\n"
    )
    (tmp_path / "test_whole.py").write_text("import pytest\npytest.skip('no camera', allow_module_level=True)\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tools.why_skipped", "-p", "no:cacheprovider"]
    env = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    said = [line for line in done.stdout.splitlines() if "skipped: " in line]
    assert said == ["3 skipped: 2 no camera; 1 could not import 'camera_of_nobody': No module named 'camera_of_nobody'"]


def test_make_test_quick_leaves_out_files_that_are_there() -> None:
    lines = (REPOSITORY / "Makefile").read_text(encoding="utf-8").replace("\\\n", "").splitlines()
    (heavy,) = (line.partition(":=")[2].split() for line in lines if line.startswith("HEAVY :="))
    assert [name for name in heavy if not (REPOSITORY / "tests" / f"test_{name}.py").is_file()] == []
