"""The benchmarks' measures on people and hands whose keypoints are known, and the programs on painted pictures."""

from __future__ import annotations

import gzip
import importlib
import json
import math
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks import card, curve, faces, films, gate, hands, overhead, results, shared, trade
from conftest import REPOSITORY
from networks import black, paint_person, painted_network, standing_person
from posecv.engines import Engine
from posecv.engines.network import Network, load_network
from posecv.evaluation import coco
from posecv.models import Model
from posecv.people import People
from posecv.skeletons import COCO, COCO_17, FACE, HAND, Skeleton
from scenes import paint_maps, random_people
from training import HELD_OUT

ORDER = [COCO.keypoints.index(name) for name in COCO_17]
TORSO = 74  # of `standing_person`, from the shoulders' middle to the hips'

Floats = NDArray[np.float64]


def annotation(person: NDArray[Any], image: int = 1, number: int = 1) -> dict[str, Any]:
    """COCO's record of somebody with all keypoints."""
    x, y, width, height = People(person[None], np.ones(1, np.float32), COCO).boxes[0].tolist()
    return {
        "id": number, "image_id": image, "category_id": 1, "iscrowd": 0, "num_keypoints": 17,
        "keypoints": [float(value) for value in (person[ORDER] * [1, 1, 2]).ravel()],
        "bbox": [x, y, width, height], "area": width * height,
    }  # fmt: skip


def people_at(*persons: NDArray[Any]) -> People:
    return People(np.array(persons, np.float32).reshape(-1, 18, 3), np.ones(len(persons), np.float32), COCO)


def moved(person: NDArray[Any], x: float) -> NDArray[Any]:
    return person + np.array([x, 0, 0], person.dtype)


@pytest.fixture
def standing() -> NDArray[np.float32]:
    return standing_person(COCO, 180, 44)


# --------------------------------------------------------------------------------------------------------- bodies


@pytest.mark.parametrize(("torsos", "share"), [(0, 1), (0.19, 1), (0.21, 0)])
def test_keypoints_of_somebody_upright_are_right_within_a_fifth_of_the_torso(
    standing: NDArray[np.float32], torsos: float, share: float
) -> None:
    pytest.importorskip("pycocotools")
    (match,) = card.matches([annotation(standing)], people_at(moved(standing, torsos * TORSO)), 1)
    assert match.torsos == pytest.approx(torsos, abs=1e-5)
    assert card.by_keypoint([match]).splitlines()[-1].startswith(f"| all | 17 | {share:.3f} | 17 |")


def test_the_similarity_of_a_person_is_that_of_pycocotools(standing: NDArray[np.float32]) -> None:
    """On both sides of the similarity that is measured, COCO's precision at that threshold is 1 and 0."""
    pytest.importorskip("pycocotools")
    truth = {"images": [{"id": 1}], "annotations": [annotation(standing)], "categories": [{"id": 1, "name": "person"}]}
    found = []
    for pixels in range(0, 60, 4):
        people = people_at(moved(standing, pixels))
        (match,) = card.matches(truth["annotations"], people, 1)
        found.append(match.oks >= 0.5)
        assert coco.average_precision(truth, coco.records(1, people))["AP50"] == pytest.approx(float(found[-1]))
    assert set(found) == {True, False}


def test_everybody_is_compared_with_the_most_similar_one(standing: NDArray[np.float32]) -> None:
    pytest.importorskip("pycocotools")
    other = moved(standing, 200)
    people = people_at(moved(other, 1), moved(standing, 2), moved(standing, 900))
    first, second = card.matches([annotation(standing), annotation(other)], people, 1)
    assert 0.9 < first.oks < second.oks < 1
    assert first.torsos is None  # they are not alone


def test_who_is_missed_has_labels_and_nothing_right(standing: NDArray[np.float32]) -> None:
    pytest.importorskip("pycocotools")
    (match,) = card.matches([annotation(standing)], people_at(), 1)
    assert match.oks == 0
    assert card.by_keypoint([match]).splitlines()[-1] == "| all | 17 | 0.000 | 17 | 0.000 |"


def test_what_has_no_label_does_not_count(standing: NDArray[np.float32]) -> None:
    pytest.importorskip("pycocotools")
    record = annotation(standing)
    record["keypoints"][-3:] = [0, 0, 0]
    (match,) = card.matches([record], people_at(standing), 1)
    assert np.isnan(match.similarity).tolist() == [False] * 16 + [True]
    assert card.by_keypoint([match]).splitlines()[-2] == "| right ankle | 0 | – | 0 | – |"


def test_crowds_and_people_without_keypoints_are_nobody(standing: NDArray[np.float32]) -> None:
    rows = [annotation(standing) | {"iscrowd": 1}, annotation(standing) | {"num_keypoints": 0}]
    assert card.matches(rows, people_at(standing), 1) == []


def test_upright_is_hips_below_shoulders_below_the_nose(standing: NDArray[np.float32]) -> None:
    labels = standing[ORDER].astype(np.float64)
    assert card.upright_torso(labels) == pytest.approx(TORSO)
    assert card.upright_torso(labels * [1, -1, 1]) is None
    assert card.upright_torso(labels[:, [1, 0, 2]]) is None  # lies
    assert card.upright_torso(labels * (np.arange(17) != card.NOSE)[:, None]) is None


def test_people_are_sorted_by_their_height_in_the_input(standing: NDArray[np.float32]) -> None:
    pytest.importorskip("pycocotools")
    record = annotation(standing)
    people = card.matches([record], people_at(standing), 40 / record["bbox"][3])
    lines = card.by_height(people).splitlines()
    assert lines[2] == "| 0 to 32 | 0 | – | – |"
    assert lines[3] == "| 32 to 64 | 1 | 1.000 | 1.000 |"
    assert lines[-1].startswith("| 256 and more | 0 |")


# ---------------------------------------------------------------------------------------------------------- hands


def square_hand() -> Floats:
    """Labels on the diagonal of a box of 100 x 100."""
    steps = np.linspace(10, 110, 21)
    return np.column_stack([steps, steps, np.full(21, 2.0)])


@pytest.mark.parametrize(("boxes", "share"), [(0, 1), (0.19, 1), (0.21, 0)])
def test_a_hands_keypoints_are_right_within_a_fifth_of_its_box(boxes: float, share: float) -> None:
    labels = square_hand()
    assert hands.right(labels[:, :2] + [100 * boxes, 0], labels).tolist() == [share] * 21


def test_the_box_holds_the_labelled_keypoints_alone() -> None:
    labels = square_hand()
    labels[11:] = 0  # the box is now 50 x 50
    assert hands.right(labels[:, :2] + [0, 9.5], labels)[:11].tolist() == [1] * 11
    assert hands.right(labels[:, :2] + [0, 10.5], labels)[:11].tolist() == [0] * 11
    assert np.isnan(hands.right(labels[:, :2], labels)[11:]).all()


def test_a_hand_that_is_missed_is_wrong() -> None:
    assert hands.right(hands.MISSED, square_hand()).tolist() == [0] * 21


def test_shares_are_of_the_labels_in_a_group() -> None:
    rights = {"ours": np.array([[1, 0, np.nan], [1, 1, np.nan]])}
    first = np.array([[True] * 3, [False] * 3])
    lines = hands.table("source", {"one": first, "both": first | ~first}, rights).splitlines()
    assert lines[2:] == ["| one | 2 | 0.500 |", "| both | 4 | 0.750 |"]


# ------------------------------------------------------------------------------------------------------- programs


@pytest.fixture
def painted_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, standing: NDArray[np.float32]) -> Path:
    """Two painted photographs, of one and of two people, and painted hands, a left and a right one, as shared data."""
    monkeypatch.setenv("POSECV_SHARED", str(tmp_path))
    monkeypatch.setenv("POSECV_MODELS", str(tmp_path / "models"))
    photographs = tmp_path / "data" / "coco" / "images"
    photographs.mkdir(parents=True)
    truth: dict[str, Any] = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "person"}]}
    for image, persons in enumerate(([standing], [standing, moved(standing, 280)]), start=1):
        frame = np.zeros((368, 656, 3), np.uint8)
        for person in persons:
            paint_person(frame, person, COCO)
            truth["annotations"].append(annotation(person, image, len(truth["annotations"]) + 1))
        cv2.imwrite(str(photographs / f"{image}.png"), frame)
        truth["images"].append({"id": image, "file_name": f"{image}.png"})
    (tmp_path / "data" / "coco" / "person_keypoints.json").write_text(json.dumps(truth))

    folder = tmp_path / "training" / "hand"
    folder.mkdir(parents=True)
    hand = standing_person(HAND, 40, 40)
    right = paint_person(np.zeros((192, 192, 3), np.uint8), hand, HAND)
    with tarfile.open(folder / "hand_crops.tar", "w") as tar, gzip.open(folder / "labels.jsonl.gz", "wt") as file:
        for side, picture in (("right", right), ("left", right[:, ::-1])):
            path = tmp_path / f"{side}.png"
            cv2.imwrite(str(path), picture)
            tar.add(path, path.name)
            labels = hand * [1, 1, 2] if side == "right" else hand * [-1, 1, 2] + [191, 0, 0]
            row = {"file": path.name, "source": "painted", "hand": side, "keypoints": labels.tolist()}
            for split in ("test", "val"):
                file.write(json.dumps(row | {"split": split}) + "\n")
    return tmp_path


def started(program: Any, *words: str | Path) -> None:
    assert program.main([*map(str, words)]) == 0


def pair(folder: Path, skeleton: Skeleton = COCO) -> str:
    folder.mkdir()
    return ",".join(map(str, painted_network(folder, skeleton)))


def test_painted_people_lie_on_the_curve_at_a_precision_of_one(
    painted_shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pycocotools")
    pytest.importorskip("matplotlib")
    name, out = pair(painted_shared / "network"), painted_shared / "out"
    started(curve, out, "--models", name, "--heights", "368", "--rounds", "1")
    row = (out / "curve.md").read_text(encoding="utf-8").splitlines()[-1].strip("| ").split(" | ")
    assert row[:2] == ["network/pose", "368"]
    assert float(row[2]) > 0
    assert [float(figure) for figure in row[3:5]] == pytest.approx([1, 1], abs=1e-3)
    assert cv2.imread(str(out / "curve.png")) is not None


def test_the_curve_is_of_our_own_networks_and_those_that_are_there(
    painted_shared: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Under light-coco's name lies a painted network; the fetched ones are left out even where they are."""
    for name in (curve.YARDSTICK, "coco"):
        (painted_shared / "models" / name).mkdir(parents=True)
        painted_network(painted_shared / "models" / name, COCO)
    networks = curve.default_networks()
    assert curve.YARDSTICK in networks
    assert "coco" not in networks


def test_times_and_precision_of_an_engine_may_be_measured_one_after_the_other(
    painted_shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pycocotools")
    pytest.importorskip("matplotlib")
    monkeypatch.setenv("POSECV_CACHE", str(painted_shared))
    out = painted_shared / "out"
    words = out, "--models", pair(painted_shared / "network"), "--engines", "opencv", "--heights", "368"
    started(trade, *words, "--only", "times", "--rounds", "1")
    (row,) = results.kept(out / "trade.csv")
    assert float(row["ms"]) > 0
    assert row["AP"] == ""
    started(trade, *words, "--only", "accuracy")
    (both,) = results.kept(out / "trade.csv")
    assert (both["ms"], both["precision"], both["AP50"]) == (row["ms"], "float32", "1.000")
    assert float(both["AP"]) == pytest.approx(1, abs=1e-3)
    assert cv2.imread(str(out / "trade.png")) is not None


def test_the_number_of_stages_stands_behind_a_network() -> None:
    assert trade.staged("coco@3") == ("coco", {"stages": 3})
    assert trade.staged("me@home/coco") == ("me@home/coco", {})
    assert trade.label("pose.prototxt,models/coco/pose.caffemodel@3") == "coco/pose@3"


def test_the_precision_is_what_an_engine_says() -> None:
    for note, expected in {
        "OpenVINO 2026.4.1 computes in bf16": "bfloat16",
        "ONNX Runtime 1.31.1 computes in float32": "float32",
        "": "float32",
    }.items():
        assert trade.precision(Engine("any", (), list, note)) == expected


def test_the_card_of_painted_people_is_full_of_ones(
    painted_shared: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pycocotools")
    started(card, "--model", pair(painted_shared / "network"))
    said = capsys.readouterr().out
    assert "\n| all | 17 | 1.000 | 51 | 1.000 |\n" in said
    assert "\n| 256 and more | 3 | 1.000 | 1.000 |\n" in said


def test_the_limit_takes_the_first_photographs_and_their_people_alone(painted_shared: Path) -> None:
    truth, pictures = shared.evaluation_set(1)
    assert [image for image, _ in pictures] == [1]
    assert [row["image_id"] for row in truth["annotations"]] == [1]


def test_painted_hands_of_both_sides_are_all_right(
    painted_shared: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    started(hands, "--model", pair(painted_shared / "network", HAND), "--net-size", "192x192")
    said = capsys.readouterr().out
    assert "0 of 2 hands missed" in said
    assert "\n| left | 21 | 1.000 |\n| right | 21 | 1.000 |\n" in said
    assert np.ptp(standing_person(HAND, 40, 40)[:, :2], axis=0).max() == 96
    assert "\n| --- | --- | --- |\n| 96 and more | 42 | 1.000 |\n\n" in said
    assert "\n| all | 42 | 1.000 |\n" in said


def test_left_hands_alone_are_mirrored(painted_shared: Path) -> None:
    """The left hand's crop is the right one's in a mirror, so the network sees the same picture of both."""
    seen = []

    def forward(blob: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        seen.append(blob[0])
        return [np.zeros((1, 22, blob.shape[2] // 8, blob.shape[3] // 8), np.float32)]

    model = Model("blind", Path(), Path(), HAND)
    network = Network(model, "cpu", Engine("blind", ("maps",), forward), ("maps",))
    crops = shared.crops("hand", "test")
    for row, frame in crops:
        for side in (row["hand"], None):
            assert hands.by_network(network, (row | {"hand": side}, frame), "192x192") is hands.MISSED
    right, as_right, left, unknown = seen
    np.testing.assert_array_equal(as_right, right)
    np.testing.assert_array_equal(left[..., 1:], right[..., :-1])  # a box is mirrored at its right edge, x + side
    np.testing.assert_array_equal(unknown, right[..., ::-1])
    assert np.abs(unknown - right).mean() > np.abs(left - right).mean()


@pytest.mark.parametrize(
    ("square", "is_empty"),
    [
        ((0, 0, 50), True),  # far from everybody
        ((90, 90, 50), False),  # the left wrist is in it
        ((130, 80, 40), False),  # a hand may reach into it
        ((160, 80, 40), True),
        ((290, 290, 20), False),  # on somebody whose wrists are not labelled
        ((330, 330, 20), True),
    ],
)
def test_a_square_without_hands_lies_away_from_wrists_and_from_those_without(
    square: tuple[float, float, float], is_empty: bool
) -> None:
    labelled, unknown = np.zeros((17, 3)), np.zeros((17, 3))
    wrists = [COCO_17.index(name) for name in gate.PARTS["hand"].at]
    labelled[wrists] = (120, 100, 2), (500, 500, 1)
    people = [
        {"keypoints": labelled.ravel().tolist(), "bbox": [100, 0, 80, 400]},
        {"keypoints": unknown.ravel().tolist(), "bbox": [300, 300, 20, 20]},
    ]
    assert gate.empty(square, people, gate.PARTS["hand"]) == is_empty


def test_the_best_gate_lies_where_hands_and_others_part() -> None:
    true, anywhere = (np.array(np.linspace(*ends), np.float64) for ends in ((0.31, 0.9, 60), (0, 0.28, 50)))
    said = gate.report("hand", true, anywhere, np.array([0.05, 0.35]))
    assert "| 0.30 | 1.000 | 1.000 | 0.500 |" in said
    assert "right most often: 0.310 (1.000 of the hands kept, 0.981 of the others rejected)" in said


def test_the_gate_of_painted_hands_keeps_them_all(
    painted_shared: Path, standing: NDArray[np.float32], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = painted_shared / "training" / "coco"
    folder.mkdir()
    images: list[dict[str, Any]] = [{"id": number, "file_name": f"{number}.png"} for number in (HELD_OUT, HELD_OUT + 1)]
    truth = {"images": images, "annotations": [annotation(standing, row["id"]) for row in images]}
    with gzip.open(folder / "person_keypoints.json.gz", "wt") as file:
        json.dump(truth, file)
    with tarfile.open(folder / "images-0.tar", "w") as tar:
        for row in images:
            path = painted_shared / row["file_name"]
            cv2.imwrite(str(path), np.zeros((400, 600, 3), np.uint8))
            tar.add(path, path.name)
    started(gate, "--model", pair(painted_shared / "network", HAND), "--each", "1")
    said = capsys.readouterr().out
    assert "| gate | kept of 2 hands | rejected of 1 anywhere |" in said
    assert "| 0.20 | 1.000 | 1.000 |" in said


MEDIAPIPE = """
class Point:
    def __init__(self, x, y):
        self.x, self.y = x, y

class Hands:
    "Finds a hand in the middle of pictures whose first dot is left, none in others; has no other OpenCV."
    def __init__(self, **options):
        assert options["max_num_hands"] == 1 and options["min_detection_confidence"] == 0.25
    def __enter__(self):
        return self
    def __exit__(self, *reason):
        pass
    def process(self, frame):
        self.multi_hand_landmarks = [self] if frame[40, 40].any() else None
        self.multi_handedness = self.multi_hand_landmarks
        self.classification = [self]
        self.label = "Left"
        self.landmark = [Point(0.5, 0.25)] * 21
        return self
"""


def test_mediapipe_runs_in_a_process_of_its_own(painted_shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = painted_shared / "stub" / "mediapipe" / "python" / "solutions"
    folder.mkdir(parents=True)
    (folder / "hands.py").write_text(MEDIAPIPE)
    monkeypatch.setenv("PYTHONPATH", str(painted_shared / "stub"))
    frames = [frame for _, frame in shared.crops("hand", "test")]
    found, missed = hands.by_mediapipe(sys.executable, frames, 0.25)
    assert found.tolist() == [[95.5, 47.5]] * 21
    assert np.isnan(missed).all()


# ---------------------------------------------------------------------------------------------------------- faces


def labelled_face(x: float = 0) -> tuple[dict[str, Any], NDArray[np.uint8]]:
    """A crop of 100 x 100 whose 68 points lie in a row from `x` on, the eyes' outer corners 9 pixels apart."""
    points = np.stack([x + np.arange(68), np.full(68, 50), np.full(68, 2)], axis=1)
    return {"source": "painted", "keypoints": points.tolist()}, np.zeros((100, 100, 3), np.uint8)


def test_the_errors_of_a_face_are_shares_of_the_distance_between_its_eyes() -> None:
    labels = faces.labels_of(labelled_face())
    labels[3] = np.nan
    found = labels + np.array([2.7, 3.6])
    found[5] = np.nan
    away = faces.errors(found, labels)
    assert np.isnan(away[3])
    assert away[5] == math.inf
    assert np.delete(away, [3, 5]) == pytest.approx(np.full(66, 0.5))


def test_the_average_face_lies_between_those_it_was_made_of() -> None:
    average = faces.average_face([labelled_face(0), labelled_face(20)])
    assert average[0] == pytest.approx([0.1, 0.5])
    assert average[67] == pytest.approx([0.77, 0.5])


def test_a_box_that_does_not_stray_is_the_crop_and_others_stay_about_there() -> None:
    rng = np.random.default_rng(0)
    assert faces.strayed((100, 80), 0, rng) == (0, -10, 100, 100)
    boxes = np.array([faces.strayed((100, 100), 0.1, rng) for _ in range(2000)])
    assert (boxes[:, :2] + boxes[:, 2:] / 2).mean(axis=0) == pytest.approx([50, 50], abs=1)
    assert np.log(boxes[:, 2] / 100).std() == pytest.approx(0.1, rel=0.1)


def test_a_face_that_is_missed_has_failed_and_one_that_is_found_has_not() -> None:
    known = [labelled_face(0), labelled_face(20)]
    average = faces.average_face(known)

    def near_or_nothing(face: shared.Crop) -> Floats:
        return faces.labels_of(face) + np.array([0.45, 0]) if face is known[0] else np.full((68, 2), np.nan)

    methods = {"stub": near_or_nothing, "average face": lambda face: faces.scaled(average, face)}
    # 0.45 of 9 pixels away; the average face lies 10 pixels from either.
    assert "| painted | 2 | inf | inf | 0.500 | 1.111 | 1.111 | 1.000 |" in faces.compared(known, methods)
    assert "| all | 1 | 0.050 | 0.050 | 0.000 | 1.111 | 1.111 | 1.000 |" in faces.compared(known[:1], methods)


def test_a_painted_face_is_found_and_a_black_crop_is_missed(
    painted_shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = painted_shared / "training" / "face"
    folder.mkdir()
    face = standing_person(FACE, 40, 40)
    frames = {"painted": paint_person(black(288, 288), face, FACE), "black": black(288, 288)}
    with tarfile.open(folder / "face_crops.tar", "w") as tar, gzip.open(folder / "labels.jsonl.gz", "wt") as file:
        for name, frame in frames.items():
            path = painted_shared / f"{name}.png"
            cv2.imwrite(str(path), frame)
            tar.add(path, path.name)
            row = {"file": path.name, "source": name, "keypoints": (face[:68] * [1, 1, 2]).tolist()}
            for split in ("test", "train"):
                file.write(json.dumps(row | {"split": split}) + "\n")
    words = "--model", pair(painted_shared / "network", FACE), "--net-size", "288x288"
    started(faces, *words)
    said = capsys.readouterr().out
    assert re.search(r"^\| painted \| 1 \| 0\.0\d\d \| 0\.0\d\d \| 0\.000 \|", said, re.MULTILINE)
    assert "\n| black | 1 | inf | inf | 1.000 |" in said
    assert "\n| all | 2 | inf | inf | 0.500 |" in said
    started(faces, *words, "--limit", "1")
    assert re.search(r"^\| all \| 1 \| 0\.0\d\d \| 0\.0\d\d \| 0\.000 \|", capsys.readouterr().out, re.MULTILINE)


# ---------------------------------------------------------------------------------------------------------- films


def test_a_film_is_done_with_all_outputs_and_its_seconds_are_counted_once(tmp_path: Path) -> None:
    film = films.pan(tmp_path / "film.avi", 4)
    network = load_network(*painted_network(tmp_path / "net", COCO))
    run = films.measure(network, film, "mjpg", tmp_path)
    assert run.frames == 4 == len(list(tmp_path.glob("film_*_keypoints.json")))
    assert cv2.VideoCapture(str(tmp_path / "film_pose.avi")).get(cv2.CAP_PROP_FRAME_COUNT) == 4
    assert 0 < run.network < run.wall
    assert run.share == run.network / run.wall


def test_the_film_is_a_pan_that_returns(tmp_path: Path) -> None:
    capture = cv2.VideoCapture(str(films.pan(tmp_path / "film.avi", 8)))
    frames = [capture.read()[1].astype(float) for _ in range(8)]
    assert {frame.shape for frame in frames} == {(480, 640, 3)}
    away = [np.abs(frame - frames[0]).mean() for frame in frames]
    assert away[0] < min(away[1:])
    np.testing.assert_allclose([away[1], away[2], away[3]], [away[7], away[6], away[5]], atol=3)


def test_painted_maps_take_the_place_of_the_networks(painted: Network) -> None:
    maps = paint_maps(random_people(5, COCO, (46, 62)), COCO, (46, 62))
    assert overhead.one_round(painted, black(640, 480), None)[1] == 0
    times, drawn = overhead.one_round(painted, black(640, 480), maps)
    assert drawn == 5
    assert len(times) == len(overhead.STEPS)
    assert min(times) > 0


def test_what_a_frame_costs_besides_is_all_but_the_forward_pass() -> None:
    blobs = [*[9.0] * overhead.WARM_UP, 0.5, 0.5, 0.5]  # the first rounds are slow
    row = overhead.row("somewhere", [([blob, 20.0, 2.0, 1.5], 7) for blob in blobs])
    assert row == ("somewhere", 7, 0.5, 20.0, 2.0, 1.5, 0.2)


def test_gloves_recolour_skin_near_the_bones_and_keep_its_shades() -> None:
    skin, glove = np.array([120, 150, 200]), (160, 90, 30)
    frame = np.full((200, 200, 3), (90, 120, 60), np.uint8)
    frame[40:160, 40:160] = skin
    frame[40:160, 135:160] = skin * 0.8  # in the shade
    frame[180:, :] = skin  # somebody else's arm
    labels = standing_person(HAND, 40, 40).astype(np.float64)
    labels[:, :2] = 50 + (labels[:, :2] - labels[:, :2].min(axis=0)) / np.ptp(labels[:, :2], axis=0).max() * 100
    covered = hands.gloved(frame, labels, glove)
    x, y = np.rint(labels[:, :2]).astype(int).T
    for side, brightness in ((x < 130, 1.0), (x >= 136, 0.8)):
        assert side.any()
        expected = np.broadcast_to(np.array(glove) * brightness, (side.sum(), 3))
        np.testing.assert_allclose(covered[y[side], x[side]], expected, atol=4)
    np.testing.assert_array_equal(covered[180:], frame[180:])
    np.testing.assert_array_equal(covered[:30], frame[:30])


# --------------------------------------------------------------------------------------------------- missing data


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("accuracy", ["--model", "light_body"]),
        ("accuracy", ["--tune"]),
        ("card", []),
        ("curve", ["curves"]),
        ("engines", ["--models", "light-coco"]),
        ("enlarged", []),
        ("faces", []),
        ("films", ["--frames", "1"]),
        ("forward", ["light-coco"]),
        ("gate", []),
        ("hands", []),
        ("trade", ["--only", "accuracy"]),
    ],
)
def test_a_benchmark_without_its_data_says_so_in_one_line(
    name: str, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for package in ("pycocotools", "matplotlib"):
        pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POSECV_SHARED", str(tmp_path / "nowhere"))
    monkeypatch.setenv("POSECV_MODELS", str(tmp_path / "nowhere" / "models"))
    monkeypatch.setenv("POSECV_CACHE", str(tmp_path / "cache"))
    assert importlib.import_module(f"benchmarks.{name}").main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{name}: ")
    assert "POSECV_SHARED" in line
    assert str(tmp_path / "nowhere") in line


@pytest.mark.parametrize(
    ("name", "words"), [("curve", ["curves"]), ("engines", ["--models", "light-coco"]), ("trade", ["--only", "times"])]
)
def test_a_benchmark_that_plots_needs_matplotlib_before_it_measures(
    name: str, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pycocotools")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert importlib.import_module(f"benchmarks.{name}").main(words) == 2
    assert capsys.readouterr().err == f"{name}: not installed: matplotlib; pip install matplotlib\n"
    assert not list(tmp_path.iterdir())


def test_a_benchmark_runs_as_a_module_and_its_error_is_its_exit_code(tmp_path: Path) -> None:
    pytest.importorskip("pycocotools")
    command = [sys.executable, "-m", "benchmarks.accuracy", "--model", "light_body"]
    env = os.environ | {"POSECV_SHARED": str(tmp_path / "nowhere")}
    done = subprocess.run(command, cwd=REPOSITORY, env=env, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("accuracy: ")
    assert done.stderr.count("\n") == 1
