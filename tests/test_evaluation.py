"""Object keypoint similarity by its formula, and COCO's records and figures on people whose places are known."""

from __future__ import annotations

import gzip
import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from posecv import oks
from posecv.errors import DeviceError, InputError, ModelError
from posecv.evaluation import coco
from posecv.people import People
from posecv.skeletons import BODY_25, COCO, COCO_17

ORDER = [COCO.keypoints.index(name) for name in COCO_17]
AREA = 5000.0

Floats = NDArray[np.float64]


# ------------------------------------------------------------------------------------------------------ similarity


def test_a_keypoint_has_half_similarity_where_the_gaussian_of_its_sigma_says() -> None:
    distances = 2 * oks.SIGMAS * math.sqrt(2 * AREA * math.log(2))
    assert oks.similarities(distances, AREA) == pytest.approx(0.5)


def test_the_sigmas_are_those_of_pycocotools() -> None:
    params = pytest.importorskip("pycocotools.cocoeval").Params("keypoints")
    np.testing.assert_allclose(oks.SIGMAS, params.kpt_oks_sigmas)


def test_a_sigma_is_known_by_its_keypoints_name_and_a_necks_is_a_shoulders() -> None:
    sigmas = oks.sigmas_of(COCO.keypoints)
    np.testing.assert_array_equal(sigmas[ORDER], oks.SIGMAS)
    assert sigmas[COCO.keypoints.index("neck")] == sigmas[COCO.keypoints.index("left_shoulder")]
    with pytest.raises(ModelError, match="no sigma for mid_hip"):
        oks.sigmas_of(BODY_25.keypoints)


def test_a_missing_keypoint_has_no_similarity_and_one_without_a_label_does_not_count() -> None:
    similar = oks.similarities(np.array([0, np.inf, np.nan]), AREA, oks.SIGMAS[:3])
    np.testing.assert_array_equal(similar, [1, 0, np.nan])


def test_each_labelled_person_has_an_area_of_its_own() -> None:
    """Four times the area is as similar at twice the distance."""
    distances = np.array([[[3.0] * 17], [[6.0] * 17]])
    small, large = oks.similarities(distances, np.array([AREA, 4 * AREA])[:, None, None])
    np.testing.assert_allclose(small, large)


def test_distances_are_of_everybody_found_from_everybody_labelled() -> None:
    labels = np.array([[(10, 20, 2), (0, 0, 0), (5, 5, 1)]], np.float64)
    found = np.array([[(13, 24, 0.5), (7, 7, 0.5), (0, 0, 0)], [(10, 20, 0.1), (0, 0, 0), (5, 6, 1)]], np.float32)
    np.testing.assert_array_equal(oks.distances(labels, found), [[[5, np.nan, np.inf], [0, np.nan, 1]]])
    assert oks.distances(labels, found[:0]).shape == (1, 0, 3)


def test_one_that_is_found_once_counts_once() -> None:
    assert oks.partners(np.array([[0.7], [0.9]])) == [None, 0]
    assert oks.partners(np.array([[0.7, 0.6], [0.9, 0.1]])) == [1, 0]
    assert oks.partners(np.zeros((2, 0))) == [None, None]
    assert oks.partners(np.zeros((1, 3))) == [None]


def square(x: float, y: float, side: float) -> Floats:
    """(4, 3) keypoints at the corners of a square."""
    return np.array([(x, y, 1), (x + side, y, 1), (x, y + side, 1), (x + side, y + side, 1)])


def test_people_are_alike_as_the_larger_box_of_the_two_says() -> None:
    sigmas = np.full(4, 0.05)
    small, large = square(0, 0, 40), square(0, 0, 50)
    away = np.array([0, 10, 10, math.hypot(10, 10)])
    expected = np.exp(-(away**2) / (2 * (0.7 * 50 * 50 + 1) * 0.1**2)).mean()
    assert oks.likeness(small, large, sigmas) == pytest.approx(expected)
    assert oks.likeness(large, small, sigmas) == pytest.approx(expected)
    assert oks.likeness(large, large, sigmas) == 1


def test_two_keypoints_in_common_are_too_few_to_be_alike() -> None:
    one, other = square(0, 0, 40), square(0, 0, 40)
    one[0, 2] = 0
    assert oks.likeness(one, other, np.full(4, 0.05)) == 1
    other[1, 2] = 0
    assert oks.likeness(one, other, np.full(4, 0.05)) == 0


# ------------------------------------------------------------------------------------------------ COCO's files


@pytest.mark.parametrize("packed", [False, True])
def test_annotations_are_read_packed_or_not(packed: bool, tmp_path: Path) -> None:
    truth: coco.Truth = {"images": [{"id": 3}], "annotations": [], "categories": []}
    data = json.dumps(truth).encode()
    path = tmp_path / ("keypoints.json.gz" if packed else "keypoints.json")
    path.write_bytes(gzip.compress(data) if packed else data)
    assert coco.read_annotations(path) == truth


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.json", b"no JSON", "is not a JSON file"),
        ("a.json", b"\xff\xfe", "is not a JSON file"),
        ("a.json.gz", b"not packed", "is not a JSON file"),
        ("a.json.gz", gzip.compress(b"{}" * 99, mtime=0)[:-12], "is not a JSON file"),
        ("a.json", b"[]", "has no list of images"),
        ("a.json", b'{"images": []}', "has no list of annotations"),
        ("a.json", None, "no such file"),
    ],
)
def test_what_is_no_annotation_file_is_refused_in_one_line(
    name: str, content: bytes | None, said: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=said) as raised:
        coco.read_annotations(tmp_path / name)
    assert str(raised.value).startswith(str(tmp_path / name))
    assert "\n" not in str(raised.value)


def test_the_truth_about_some_images_keeps_their_people_and_all_else() -> None:
    truth: coco.Truth = {
        "images": [{"id": number} for number in (5, 3, 9)],
        "annotations": [{"id": 1, "image_id": 9}, {"id": 2, "image_id": 3}, {"id": 3, "image_id": 9}],
        "categories": [{"id": 1}],
    }
    some = coco.of_images(truth, [9, 5])
    assert some["images"] == [{"id": 5}, {"id": 9}]
    assert [row["id"] for row in some["annotations"]] == [1, 3]
    assert some["categories"] == truth["categories"]
    assert len(truth["images"]) == 3


# ------------------------------------------------------------------------------------------------- COCO's figures


@pytest.fixture
def people() -> People:
    """Two of them, all of whose keypoints were found."""
    keypoints = np.random.default_rng(1).uniform(10, 200, (2, 18, 3)).astype(np.float32)
    keypoints[..., 2] = 0.9
    return People(keypoints, np.array([0.9, 0.8], np.float32), COCO)


@pytest.fixture
def truth(people: People) -> coco.Truth:
    """They are where they were found, in image 7; image 8 is empty."""
    annotations: list[dict[str, Any]] = []
    for person in people:
        xyv = person.keypoints[0, ORDER].copy()
        xyv[:, 2] = 2
        box = person.boxes[0].tolist()
        annotations.append({
            "id": len(annotations) + 1, "image_id": 7, "category_id": 1, "iscrowd": 0, "num_keypoints": 17,
            "keypoints": xyv.ravel().tolist(), "bbox": box, "area": box[2] * box[3],
        })  # fmt: skip
    return {"images": [{"id": 7}, {"id": 8}], "annotations": annotations, "categories": [{"id": 1, "name": "person"}]}


def test_records_are_the_people_with_their_image(people: People) -> None:
    first, second = coco.records(7, people)
    assert first == {"image_id": 7} | people.to_coco()[0]
    assert second["score"] == pytest.approx(0.8)
    assert coco.records(7, people[:0]) == []


def test_a_perfect_answer_has_a_precision_of_one(people: People, truth: coco.Truth) -> None:
    pytest.importorskip("pycocotools")
    figures = coco.average_precision(truth, coco.records(7, people))
    assert tuple(figures) == coco.FIGURES
    assert figures["AP"] == figures["AR"] == pytest.approx(1)


def test_people_who_lie_elsewhere_have_a_precision_of_zero(people: People, truth: coco.Truth) -> None:
    pytest.importorskip("pycocotools")
    away = People(people.keypoints + np.array([500, 0, 0], np.float32), people.scores, COCO)
    assert coco.average_precision(truth, coco.records(7, away))["AP"] == 0


def test_one_of_two_people_is_half_the_recall(people: People, truth: coco.Truth) -> None:
    """COCO reads precision at 101 recalls from 0 to 1; it is 1 at the 51 of them up to a half."""
    pytest.importorskip("pycocotools")
    figures = coco.average_precision(truth, coco.records(7, people[:1]))
    assert figures["AP"] == figures["AP50"] == pytest.approx(51 / 101)
    assert figures["AR"] == pytest.approx(0.5)


def test_somebody_found_in_an_empty_image_costs_precision(people: People, truth: coco.Truth) -> None:
    """Of three people, the first of whom is nobody, the true ones bring precision 1/2 and 2/3: 2/3 at all recalls."""
    pytest.importorskip("pycocotools")
    nobody = coco.records(8, people[:1])
    nobody[0]["score"] = 1.0
    figures = coco.average_precision(truth, nobody + coco.records(7, people))
    assert figures["AP"] == pytest.approx(2 / 3)


def test_the_precision_of_nobody_is_zero() -> None:
    assert set(coco.average_precision({}, []).values()) == {0.0}


def test_without_pycocotools_one_line_says_how_to_get_it(
    people: People, truth: coco.Truth, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    with pytest.raises(DeviceError, match="pip install pycocotools"):
        coco.average_precision(truth, coco.records(7, people))
