"""The notebook for teaching: it is stored with its outputs, runs from top to bottom and shows what it says."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import pytest

from conftest import REPOSITORY, SHARED

NOTEBOOK = REPOSITORY / "samples" / "pose_estimation.ipynb"


def cells(notebook: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == kind]


def stored() -> dict[str, Any]:
    """The notebook as it is in the repository."""
    notebook: dict[str, Any] = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    return notebook


def test_the_notebook_is_stored_as_one_run_left_it() -> None:
    code = cells(stored(), "code")
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    assert NOTEBOOK.stat().st_size < 1_500_000


def test_no_stored_output_is_an_error_or_a_warning() -> None:
    outputs = [output for cell in cells(stored(), "code") for output in cell["outputs"]]
    assert {output["output_type"] for output in outputs} == {"display_data", "stream"}
    assert {output["name"] for output in outputs if output["output_type"] == "stream"} == {"stdout"}


def test_what_the_notebook_links_to_is_there() -> None:
    text = "".join("".join(cell["source"]) for cell in cells(stored(), "markdown"))
    targets = re.findall(r"\]\(([^):]+)\)", text)
    assert targets
    assert [target for target in targets if not (NOTEBOOK.parent / target).exists()] == []


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The notebook after a run, with a network of two stages where there is one."""
    missing = "the notebook needs ipykernel, matplotlib and nbclient (the extra dev)"
    for package in ("ipykernel", "matplotlib"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(missing)
    nbclient, nbformat = (pytest.importorskip(name, reason=missing) for name in ("nbclient", "nbformat"))
    pair = [SHARED / "models" / "light-coco" / name for name in ("pose.prototxt", "pose.caffemodel")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STAGED", ",".join(map(str, pair)) if pair[1].is_file() else "none")
        patch.setenv("IPYTHONDIR", str(tmp_path_factory.mktemp("ipython")))
        notebook = nbformat.read(NOTEBOOK, as_version=4)
        resources = {"metadata": {"path": str(NOTEBOOK.parent)}}
        nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3", resources=resources).execute()
    return json.loads(json.dumps(notebook))


def outputs_under(notebook: dict[str, Any], heading: str) -> list[dict[str, Any]]:
    """What the cells show between a heading and the next one."""
    under, found = False, []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown" and source.startswith("#"):
            under = source.partition("\n")[0].lstrip("# ") == heading
        elif under and cell["cell_type"] == "code":
            found += cell["outputs"]
    return found


HEADINGS = (
    "An image", "A video", "The layouts", "Maps", "One limb's part affinity field", "Stages", "1. Peaks",
    "2. Limb scores", "3. Grouping",
)  # fmt: skip


def figures_under(notebook: dict[str, Any], heading: str) -> int:
    """How many figures the cells show between a heading and the next one."""
    return sum("image/jpeg" in output.get("data", {}) for output in outputs_under(notebook, heading))


@pytest.mark.parametrize("heading", HEADINGS)
def test_each_chapter_of_the_stored_notebook_has_its_figure(heading: str) -> None:
    assert figures_under(stored(), heading)


@pytest.mark.parametrize("heading", HEADINGS)
def test_each_chapter_of_the_notebook_draws_its_figure(executed: dict[str, Any], heading: str) -> None:
    assert figures_under(executed, heading)


def test_a_run_prints_as_many_people_as_the_stored_outputs(executed: dict[str, Any]) -> None:
    before, after = (people_counted(notebook) for notebook in (stored(), executed))
    assert before == after


def people_counted(notebook: dict[str, Any]) -> tuple[str, str]:
    """How many people the package and the notebook's own steps find."""
    outputs = [output for cell in cells(notebook, "code") for output in cell["outputs"]]
    text = "".join("".join(output.get("text", "")) for output in outputs)
    counts = re.search(r"(\d+) people by decode_people, (\d+) by the steps above", text)
    assert counts
    return counts[1], counts[2]


def test_the_notebook_says_nothing_on_stderr_and_its_steps_find_the_same_people(executed: dict[str, Any]) -> None:
    outputs = [output for cell in cells(executed, "code") for output in cell["outputs"]]
    assert [output["text"] for output in outputs if output.get("name") == "stderr"] == []
    package, steps = people_counted(executed)
    assert package == steps


def test_the_notebook_shows_stages_where_a_network_has_some(executed: dict[str, Any]) -> None:
    outputs = outputs_under(executed, "Stages")
    figures = figures_under(executed, "Stages")
    text = "".join("".join(output.get("text", "")) for output in outputs)
    assert (figures, "No network with stages is here" in text) in [(2, False), (1, True)]
    if (Path(SHARED) / "models" / "light-coco" / "pose.caffemodel").is_file():
        assert figures == 2
