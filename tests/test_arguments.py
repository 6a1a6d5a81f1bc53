"""Wrong arguments of the public functions and classes are one line that names what they take."""

from __future__ import annotations

import inspect
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import posecv
from posecv.checks import known_arguments
from posecv.errors import InputError, UsageError
from posecv.people import People
from posecv.skeletons import COCO

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


LONG = 10**5000  # Python does not write it
MAPS = np.zeros((57, 4, 4), np.float32)
FRAME = np.zeros((8, 8, 3), np.uint8)
NOBODY = People.empty(COCO)


@pytest.mark.parametrize(
    ("name", "values", "settings", "words"),
    [
        ("decode_people", (MAPS, COCO), {"stride": 0}, "^stride=0: give"),
        ("decode_people", (MAPS, COCO), {"stride": "8"}, "^stride='8' is not a number"),
        ("decode_people", (MAPS, COCO), {"stride": LONG}, "^stride is beyond"),
        ("decode_people", (MAPS.astype(complex), COCO), {}, "complex"),
        ("decode_person", (MAPS, COCO), {"threshold": "a"}, "^threshold='a' is not a number"),
        ("decode_person", (MAPS, COCO), {"threshold": LONG}, "^threshold is beyond"),
        ("draw_people", (FRAME, NOBODY), {"alpha": LONG}, "^alpha is beyond"),
        ("draw_people", (FRAME, NOBODY), {"alpha": "a"}, "^alpha='a' is not a number"),
        ("draw_people", (FRAME, NOBODY), {"threshold": None}, "^threshold=None is not a number"),
        ("draw_people", (FRAME, "people"), {}, "^people is a str; give People"),
        ("joint_angles", ("people",), {}, "^people is a str; give People"),
        ("joint_angles", (NOBODY,), {"sides": "left"}, "^sides='left': give one number"),
        ("load_network", (LONG,), {}, "^model=a number of thousands of digits"),
        ("load_network", (), {"net_size": LONG}, "^net_size is beyond"),
        ("load_network", (), {"net_size": (LONG, LONG)}, "^net_size is beyond"),
        ("stream", (LONG,), {}, "^inputs is beyond"),
        ("stream", ("a\0b.jpg",), {}, "cannot be the name of a file"),
        ("DrawnFilm", ("a.mp4",), {"rate": "fast"}, "^rate='fast' is not a number"),
        *((name, (5,), {}, "^path=5: give the name of a file") for name in WRITERS),
        ("JsonLines", ("a\0b",), {}, "give the name of a file"),
    ],
)
def test_a_value_of_another_type_or_size_is_one_line(
    name: str, values: tuple[Any, ...], settings: dict[str, Any], words: str
) -> None:
    with pytest.raises((UsageError, InputError), match=words) as caught:
        getattr(posecv, name)(*values, **settings)
    assert "\n" not in str(caught.value)


def test_errors_inside_a_function_remain_what_they_are() -> None:
    @known_arguments
    def fails(value: int, **others: int) -> None:
        raise TypeError("inside")

    with pytest.raises(TypeError, match=r"^inside$"):
        fails(1, anything=2)


def test_checked_functions_keep_their_names_and_can_be_pickled() -> None:
    assert pickle.loads(pickle.dumps(posecv.estimate_people)) is posecv.estimate_people
    assert inspect.signature(posecv.draw_people).parameters.keys() == {"frame", "people", "threshold", "alpha", "limbs"}
