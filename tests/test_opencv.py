"""What posecv.opencv says about installations and displays, and what a user sees of it."""

from __future__ import annotations

import ast
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from conftest import REPOSITORY, RunScript
from posecv import opencv
from posecv.opencv import Desktop, Facts, complaint, installed_wheels, window_complaint

SCRIPTS = ("run_pose.py", "run_multi_pose.py", "run_hand.py", "webcam_pose.py")
GOOD = Facts(python=(3, 12), wheels=("opencv-python 4.14.0.94",), numpy="2.4.6", version="4.14.0")
FAILED = replace(GOOD, version=None)

# What the real ones say.
NO_LIBGL = "libGL.so.1: cannot open shared object file: No such file or directory"
NO_GTHREAD = "libgthread-2.0.so.0: cannot open shared object file: No such file or directory"
NUMPY_2_UNDER_AN_OLD_WHEEL = "numpy.core.multiarray failed to import"
OLD_NUMPY_UNDER_A_NEW_WHEEL = (
    "module compiled against ABI version 0x1000009 but this version of numpy is 0x10000e\n"
    "numpy._core.multiarray failed to import"
)

FakeCv2 = Callable[[str], dict[str, str]]


@pytest.fixture
def fake_cv2(tmp_path: Path) -> FakeCv2:
    """Write a module cv2 that hides the real one; the environment in which Python finds it."""

    def write(source: str) -> dict[str, str]:
        folder = tmp_path / "installed" / "cv2"
        folder.mkdir(parents=True)
        (folder / "__init__.py").write_text(source)
        return {"PYTHONPATH": str(folder.parent)}

    return write


def install_metadata(folder: Path, name: str, version: str, installer: str = "pip") -> None:
    """What an installed wheel leaves behind for package managers."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "INSTALLER").write_text(f"{installer}\n")


# ------------------------------------------------------------------------------------------------- the installation


def test_a_good_installation_gets_no_complaint() -> None:
    assert complaint(GOOD) is None


@pytest.mark.parametrize("version", ["4.8.0", "4.10.0-dev", "4.14.0", "5.0.0", "5.1.0-pre"])
def test_every_opencv_from_4_8_to_before_6_will_do(version: str) -> None:
    assert complaint(replace(GOOD, version=version)) is None


def test_the_opencv_of_this_environment_will_do() -> None:
    opencv.require_opencv()


def test_an_opencv_of_ones_own_needs_no_wheel() -> None:
    assert complaint(replace(GOOD, wheels=())) is None


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (replace(GOOD, python=(3, 9)), ["Python 3.9", "3.10"]),
        (replace(GOOD, missing=("imutils",)), ["imutils", "pip install imutils"]),
        (replace(GOOD, missing=("numpy", "imutils")), ["pip install numpy imutils"]),
        (replace(GOOD, version="6.0.0"), ["OpenCV 6.0.0", "newer", 'pip install "opencv-python>=4.8,<6"']),
        (replace(GOOD, version="4.7.0"), ["OpenCV 4.7.0", "too old", 'pip install "opencv-python>=4.8,<6"']),
        (replace(GOOD, dnn=False, importers=False), ["without the module dnn"]),
        (replace(GOOD, importers=False), ["without importers"]),
        (replace(FAILED, failure=NO_LIBGL), ["libGL.so.1", "opencv-python-headless", "apt-get install libgl1"]),
        (replace(FAILED, failure=NO_GTHREAD), ["libgthread-2.0.so.0", "opencv-python-headless", "libglib2.0-0"]),
        (
            replace(FAILED, failure=NUMPY_2_UNDER_AN_OLD_WHEEL, wheels=("opencv-python 4.8.0.74",)),
            ["opencv-python 4.8.0.74", "NumPy", "2.4.6", "--upgrade", '"numpy<2"'],
        ),
        (replace(FAILED, failure=OLD_NUMPY_UNDER_A_NEW_WHEEL), ["another NumPy"]),
        (replace(FAILED, failure="No module named 'cv2'", wheels=()), ["missing", "opencv-python", "-headless"]),
        (replace(FAILED, failure="DLL load failed while importing cv2"), ["DLL load failed", "pip uninstall"]),
        (replace(FAILED, failure=""), ["no reason given"]),
        (replace(FAILED, origin="/there/site-packages/cv2"), ["/there/site-packages/cv2", "pip uninstall"]),
        (replace(FAILED, origin="/there/cv2.py"), ["/there/cv2.py", "rename that file"]),
    ],
)
def test_each_fault_gets_one_line_that_says_what_to_do(facts: Facts, words: list[str]) -> None:
    line = complaint(facts)
    assert line is not None
    assert "\n" not in line
    assert all(word in line for word in words), line


def test_a_headless_installation_is_never_told_to_add_the_other_wheel() -> None:
    headless = replace(GOOD, wheels=("opencv-python-headless 4.7.0.72",), version="4.7.0")
    assert 'pip install "opencv-python-headless>=4.8,<6"' in (complaint(headless) or "")


@pytest.mark.parametrize(
    "damage", [{"failure": "undefined symbol: _ZN2cv"}, {"version": None}, {"dnn": False}, {"importers": False}]
)
def test_of_several_wheels_that_broke_each_other_all_are_named_and_all_go(damage: dict[str, Any]) -> None:
    both = replace(GOOD, wheels=("opencv-python 4.14.0.94", "opencv-contrib-python-headless 4.13.0.92"))
    line = complaint(replace(both, **damage))
    assert line is not None
    assert "pip uninstall -y opencv-python opencv-contrib-python-headless" in line
    assert 'pip install "opencv-contrib-python>=4.8,<6"' in line
    assert complaint(both) is None  # they work


def test_wheels_in_one_folder_are_counted_and_those_it_hides_are_not(tmp_path: Path) -> None:
    near, far = tmp_path / "near", tmp_path / "far"
    install_metadata(near, "opencv-python", "4.14.0.94")
    install_metadata(near, "opencv-contrib-python", "4.13.0.92")
    install_metadata(far, "opencv-python-headless", "4.14.0.94")
    found = installed_wheels([str(tmp_path), str(near), str(far)])
    assert found == ("opencv-python 4.14.0.94", "opencv-contrib-python 4.13.0.92")


def test_condas_one_opencv_under_two_names_is_no_conflict(tmp_path: Path) -> None:
    install_metadata(tmp_path, "opencv-python", "4.10.0", installer="conda")
    install_metadata(tmp_path, "opencv-python-headless", "4.10.0", installer="conda")
    assert installed_wheels([str(tmp_path)]) == ()


# -------------------------------------------------------------------------------------------- what a user sees of it


def assert_one_line(result: subprocess.CompletedProcess[str], *words: str) -> None:
    assert result.returncode == 2, result.stderr
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1, result.stderr
    assert all(word in result.stderr for word in words), result.stderr


def test_the_complaint_is_raised_as_a_device_error(fake_cv2: FakeCv2) -> None:
    code = """
from posecv.errors import DeviceError
from posecv.opencv import require_opencv
try:
    require_opencv()
except DeviceError as error:
    print(error.exit_code, error)
"""
    env = {**os.environ, **fake_cv2("__version__ = '4.6.0'")}
    result = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, env=env, capture_output=True, text=True)
    assert result.stdout.startswith("2 OpenCV 4.6.0 is too old: ")


@pytest.mark.parametrize("script", SCRIPTS)
def test_under_an_opencv_that_reads_no_networks_a_script_says_what_to_install(
    script: str, run_script: RunScript, fake_cv2: FakeCv2
) -> None:
    env = fake_cv2("__version__ = '5.0.0'\nclass dnn: pass\n")
    assert_one_line(run_script(script, "-p", "x", "-m", "y", env=env), "OpenCV 5.0.0", "importers", "<6")


@pytest.mark.parametrize(
    ("source", "word"),
    [
        ("__version__ = '4.6.0'\nclass dnn:\n    readNetFromCaffe = None\n", "OpenCV 4.6.0 is too old"),
        (f"raise ImportError({NO_LIBGL!r})", "libGL.so.1"),
        (
            "import sys\nsys.stderr.write('A module that was compiled using NumPy 1.x cannot be run in\\n')\n"
            f"raise ImportError({NUMPY_2_UNDER_AN_OLD_WHEEL!r})",
            "another NumPy",
        ),
        ("raise ImportError(\"No module named 'cv2'\", name='cv2')", "OpenCV"),
        ("raise AttributeError('_ARRAY_API not found')", "another NumPy"),
        ("print(['/usr/lib'])\nraise ImportError('ERROR: recursion is detected during loading')", "recursion"),
        ("", "does not work"),
    ],
)
@pytest.mark.parametrize("words", [("-i", "x.jpg", "-p", "x", "-m", "y"), ("--version",)])
def test_an_opencv_that_will_not_do_costs_one_line_and_no_traceback(
    source: str, word: str, words: tuple[str, ...], run_script: RunScript, fake_cv2: FakeCv2
) -> None:
    assert_one_line(run_script("run_pose.py", *words, env=fake_cv2(source)), word)


def test_without_imutils_a_program_finds_people(tmp_path: Path) -> None:
    """It is the live demo's alone."""
    code = """
import sys
sys.modules["imutils"] = None
import numpy as np, posecv
network = posecv.load_network(engine="opencv")
print(len(posecv.estimate_people(network, np.zeros((64, 64, 3), np.uint8), net_size=64)))
from posecv.opencv import require_packages
try:
    require_packages("imutils", "numpy")
except posecv.PoseError as error:
    print(error)
"""
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    result = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == "0\nnot installed: imutils; pip install imutils\n"


@pytest.mark.parametrize("script", ["run_pose.py", "run_multi_pose.py", "run_hand.py"])
def test_scripts_that_open_no_camera_do_not_ask_for_imutils(
    script: str, tmp_path: Path, run_script: RunScript
) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['imutils'] = None\n")
    result = run_script(script, "--version", env={"PYTHONPATH": str(tmp_path)})
    assert (result.returncode, result.stderr) == (0, "")


def test_several_wheels_are_noticed_before_the_work_if_they_do_not_work(
    run_script: RunScript, tmp_path: Path, fake_cv2: FakeCv2
) -> None:
    env = fake_cv2("raise ImportError('undefined symbol')")
    folder = Path(env["PYTHONPATH"])
    install_metadata(folder, "opencv-python", "4.14.0.94")
    install_metadata(folder, "opencv-python-headless", "4.14.0.94")
    result = run_script("run_multi_pose.py", "-p", "x", "-m", "y", "-i", "z.jpg", env=env)
    assert_one_line(result, "several OpenCV wheels", "pip uninstall -y opencv-python opencv-python-headless")


def test_several_wheels_that_work_are_a_line_of_the_verbose_output(run_script: RunScript, tmp_path: Path) -> None:
    install_metadata(tmp_path / "installed", "opencv-python", "4.14.0.94")
    install_metadata(tmp_path / "installed", "opencv-contrib-python", "4.14.0.94")
    env = {"PYTHONPATH": str(tmp_path / "installed")}
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((48, 64, 3), np.uint8))
    said = []
    for more in ([], ["-v", "--hand"]):  # two networks
        result = run_script("run_multi_pose.py", "-i", "a.png", "--json", "a.json", *more, env=env)
        assert result.returncode == 0, result.stderr
        said.append(result.stderr.count("several OpenCV wheels are installed (opencv-python 4.14.0.94"))
    assert said == [0, 1]


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_needs_no_opencv(script: str, run_script: RunScript, fake_cv2: FakeCv2) -> None:
    result = run_script(script, "--help", env=fake_cv2(f"raise ImportError({NO_LIBGL!r})"))
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("script", SCRIPTS)
def test_an_old_python_can_read_a_script_as_far_as_its_complaint(script: str) -> None:
    source = (REPOSITORY / script).read_text(encoding="utf-8")
    ast.parse(source, feature_version=(3, 4))
    code = f"import runpy, sys; sys.version_info = (3, 9, 18); runpy.run_path({str(REPOSITORY / script)!r})"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert_one_line(result, "Python 3.10", "3.9")


@pytest.mark.parametrize("version", ["2.7", "3.6", "3.7", "3.8", "3.9"])
def test_a_real_old_python_says_so_in_one_line(version: str) -> None:
    python = shutil.which(f"python{version}")
    if python is None or subprocess.run([python, "--version"], capture_output=True).returncode != 0:
        pytest.skip(f"there is no Python {version} here")
    result = subprocess.run([python, str(REPOSITORY / "run_pose.py")], capture_output=True, text=True)
    assert_one_line(result, "Python 3.10", version)


# ----------------------------------------------------------------------------------------------------- the windows

LINUX = Desktop("QT5", "linux", {"DISPLAY": ":0"}, frozenset({"xcb"}))
OWN_BUILD = Desktop("GTK3", "linux", {"DISPLAY": ":0"})


@pytest.mark.parametrize(
    "desktop",
    [
        LINUX,
        OWN_BUILD,
        replace(LINUX, environment={"DISPLAY": "localhost:10.0", "SSH_CONNECTION": "a b c d"}),
        replace(LINUX, environment={"DISPLAY": ":0", "WAYLAND_DISPLAY": "wayland-0"}),
        replace(LINUX, environment={"DISPLAY": ":0", "QT_QPA_PLATFORM": "wayland;xcb"}, qt_platforms=None),
        replace(OWN_BUILD, environment={"WAYLAND_DISPLAY": "wayland-0"}, x_answers=False),
        replace(OWN_BUILD, environment={"DISPLAY": ":0", "QT_QPA_PLATFORM": "offscreen"}),
        Desktop("COCOA", "darwin", {}, x_answers=False),
        Desktop("WIN32UI", "win32", {}, x_answers=False),
    ],
)
def test_where_there_is_a_display_nothing_stands_against_a_window(desktop: Desktop) -> None:
    assert window_complaint(desktop) is None


@pytest.mark.parametrize(
    ("desktop", "word"),
    [
        (replace(LINUX, gui="NONE"), "headless"),
        (replace(LINUX, environment={}), "DISPLAY"),
        (replace(LINUX, environment={"DISPLAY": ""}), "DISPLAY"),
        (replace(LINUX, x_answers=False), ":0"),
        (replace(LINUX, environment={"WAYLAND_DISPLAY": "wayland-0"}), "DISPLAY"),
        (replace(LINUX, environment={"DISPLAY": ":0", "QT_QPA_PLATFORM": "offscreen"}), "offscreen"),
        (replace(LINUX, environment={"DISPLAY": ":0", "QT_QPA_PLATFORM": "wayland"}), "QT_QPA_PLATFORM=wayland"),
        (Desktop("COCOA", "darwin", {"SSH_CONNECTION": "a b c d"}), "ssh"),
        (Desktop("WIN32UI", "win32", {"SSH_TTY": "windows-pty"}), "ssh"),
    ],
)
def test_where_a_window_would_fail_there_is_a_reason(desktop: Desktop, word: str) -> None:
    assert word in (window_complaint(desktop) or "")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="X is asked on Linux alone")
def test_a_display_that_refuses_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as listener:  # bound and not listening: connections are refused
        listener.bind(("127.0.0.1", 0))
        number = listener.getsockname()[1] - 6000
        monkeypatch.setenv("DISPLAY", f"127.0.0.1:{number}")
        assert opencv._x_answers() is False


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="DISPLAY is asked on Linux alone")
def test_without_display_there_is_no_window_and_no_crash() -> None:
    code = "from posecv.opencv import why_no_window; print(why_no_window())"
    hidden = ("DISPLAY", "WAYLAND_DISPLAY")
    env = {name: value for name, value in os.environ.items() if name not in hidden}
    result = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, env=env, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() not in ("", "None")
