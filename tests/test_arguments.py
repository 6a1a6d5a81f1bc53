"""Wrong arguments of the public functions and classes are one line that names what they take."""

from __future__ import annotations

import inspect
import pickle
from pathlib import Path
from typing import Any

import pytest

import posecv
from posecv.checks import known_arguments
from posecv.errors import UsageError

# The others check their settings themselves.
FUNCTIONS = ["decode_person", "draw_people", "joint_angles", "load_network", "stream"]
WRITERS = ["CocoResults", "Csv", "DrawnFilm", "DrawnPicture", "JsonLines", "OpenPoseJson"]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_misspelt_parameter_is_told_the_nearest_one(name: str) -> None:
    function = getattr(posecv, name)
    options = [each for each in inspect.signature(function).parameters.values() if each.kind is each.KEYWORD_ONLY]
    right = options[0].name if options else list(inspect.signature(function).parameters)[-1]
    with pytest.raises(UsageError, match=rf"^unknown parameter {right}x; did you mean {right}\?$"):
        function(**{f"{right}x": 1})


@pytest.mark.parametrize("name", WRITERS)
def test_a_misspelt_parameter_of_a_writer_leaves_no_file(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^unknown parameter pahtt"):
        getattr(posecv, name)(tmp_path / "file", pahtt=1)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("values", [(), ("hello",), (1, 2, 3, 4, 5)])
def test_too_few_and_too_many_arguments_are_one_line(values: tuple[Any, ...]) -> None:
    with pytest.raises(UsageError, match=r"^decode_person: .* its parameters are maps, skeleton, ") as caught:
        posecv.decode_person(*values)
    assert "\n" not in str(caught.value)


def test_the_class_itself_is_named_where_its_path_is_missing() -> None:
    with pytest.raises(UsageError, match=r"^JsonLines: missing"):
        posecv.JsonLines()  # type: ignore[call-arg]


def test_errors_inside_a_function_remain_what_they_are() -> None:
    @known_arguments
    def fails(value: int, **others: int) -> None:
        raise TypeError("inside")

    with pytest.raises(TypeError, match=r"^inside$"):
        fails(1, anything=2)


def test_checked_functions_keep_their_names_and_can_be_pickled() -> None:
    assert pickle.loads(pickle.dumps(posecv.estimate_people)) is posecv.estimate_people
    assert inspect.signature(posecv.draw_people).parameters.keys() == {"frame", "people", "threshold", "alpha", "limbs"}
