"""posecv evaluate: figures that can be told beforehand, from stored results and from a network."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from networks import Pair
from posecv.app import evaluate
from posecv.skeletons import COCO, COCO_17
from walking import walk, walker

pytest.importorskip("pycocotools", reason="pycocotools is not installed")

IMAGES = 4


def standing(x: float, height: float = 200.0) -> list[float]:
    """Labels of somebody upright: x, y, 2 for each keypoint."""
    rng = np.random.default_rng(int(x))
    places = np.column_stack([x + rng.uniform(-20, 20, 17), np.linspace(20, 20 + height, 17), np.full(17, 2.0)])
    return [round(value, 1) for value in places.ravel().tolist()]


def annotated(people: dict[int, list[list[float]]]) -> dict[str, Any]:
    rows = [
        {"id": number, "image_id": image, "category_id": 1, "keypoints": points, "num_keypoints": 17, "iscrowd": 0,
         "bbox": [0, 0, 100, 220], "area": 12000.0}
        for number, (image, points) in enumerate(((image, each) for image in people for each in people[image]), 1)
    ]  # fmt: skip
    images = [{"id": image, "file_name": f"{image:012d}.png", "width": 640, "height": 480} for image in people]
    return {"images": images, "annotations": rows, "categories": [{"id": 1, "name": "person", "keypoints": [*COCO_17]}]}


def result(image: int, points: list[float], score: float) -> dict[str, Any]:
    return {"image_id": image, "category_id": 1, "keypoints": points, "score": score}


@pytest.fixture
def truth(tmp_path: Path) -> dict[int, list[list[float]]]:
    people = {image: [standing(100 + 10 * image), standing(400)] for image in range(1, IMAGES + 1)}
    (tmp_path / "truth.json").write_text(json.dumps(annotated(people)))
    return people


def run(folder: Path, *words: str) -> tuple[int, dict[str, Any]]:
    code = evaluate.main(["--annotations", str(folder / "truth.json"), "--report", str(folder / "out"), *words])
    summary = folder / "out" / "summary.json"
    return code, json.loads(summary.read_text()) if summary.exists() else {}


def test_perfect_and_half_results_have_the_figures_that_follow(
    truth: dict[int, list[list[float]]], tmp_path: Path
) -> None:
    perfect = [result(image, points, 0.9) for image, people in truth.items() for points in people]
    false = result(1, standing(600), 0.95)
    (tmp_path / "perfect.json").write_text(json.dumps(perfect))
    (tmp_path / "half.json").write_text(json.dumps([*perfect[::2], false]))
    code, summary = run(tmp_path, "--results", str(tmp_path / "perfect.json"), str(tmp_path / "half.json"))
    assert code == 0
    assert summary["images"] == IMAGES
    best, half = (summary["models"][name] for name in ("perfect", "half"))
    assert (best["AP"], best["AP50"], best["AR"], best["precision"], best["false_people"]) == (1, 1, 1, 1, 0)
    assert best["intervals"]["AP"] == [1, 1]
    assert (best["APM"], best["APL"]) == (None, 1)  # nobody is of medium size
    # Half of the people, behind somebody who is not there: precision 4 / 5 up to a recall of 1 / 2, 51 of 101 points.
    assert half["AP"] == pytest.approx(51 / 101 * 4 / 5, abs=1e-6)
    assert half["AR"] == 0.5
    assert half["precision"] == pytest.approx(4 / 5)
    assert half["false_people"] == pytest.approx(1 / IMAGES)
    assert summary["differences"]["half"]["difference"] == pytest.approx(half["AP"] - 1, abs=1e-6)
    assert summary["differences"]["half"]["to"] < 0
    rows = list(csv.DictReader((tmp_path / "out" / "report.csv").read_text().splitlines()))
    assert {row["model"] for row in rows} == {"perfect", "half"}
    page = (tmp_path / "out" / "report.html").read_text()
    assert "<script" not in page
    assert "http" not in page.replace("http://www.w3.org", "")


def test_error_types_tell_what_would_be_gained(truth: dict[int, list[list[float]]], tmp_path: Path) -> None:
    mirrored = {"left": "right", "right": "left"}
    order = [
        COCO_17.index("_".join(mirrored.get(word, word) for word in name.split("_"))) for name in COCO_17
    ]
    rows = []
    for image, people in truth.items():
        for points in people:
            swapped = np.array(points).reshape(17, 3)[order].ravel().tolist()
            rows.append(result(image, swapped, 0.9))
    (tmp_path / "swapped.json").write_text(json.dumps(rows))
    code, _ = run(tmp_path, "--results", str(tmp_path / "swapped.json"))
    assert code == 0
    report = (tmp_path / "out" / "report.md").read_text()
    line = next(line for line in report.splitlines() if line.startswith("| inversion"))
    assert int(line.split("|")[2]) > 4 * len(rows)  # most of 8 pairs; those that lie close count as right


def test_a_network_is_run_over_the_images_and_resumed(
    coco: Pair, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = tmp_path / "images"
    images.mkdir()
    order = [COCO.keypoints.index(name) for name in COCO_17]
    people = {}
    for number in range(1, IMAGES + 1):
        cv2.imwrite(str(images / f"{number:012d}.png"), walk(number))
        points = walker(number)[order]
        people[number] = [np.column_stack([points[:, :2] + 0.5, np.where(points[:, 2] > 0, 2, 0)]).ravel().tolist()]
    (tmp_path / "truth.json").write_text(json.dumps(annotated(people)))
    words = ["--images", str(images), "--model", f"{coco[0]},{coco[1]}"]
    code, summary = run(tmp_path, *words)
    assert code == 0
    (figures,) = summary["models"].values()
    assert figures["AP"] == pytest.approx(1)
    (images / f"{1:012d}.png").write_bytes(b"broken")
    capsys.readouterr()
    code, again = run(tmp_path, *words, "--resume")
    assert "4 of them done before" in capsys.readouterr().err
    assert again["models"].keys() == summary["models"].keys()
    code, fewer = run(tmp_path, *words)
    (figures,) = fewer["models"].values()
    assert figures["AR"] == pytest.approx(3 / 4)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--images", "{}/none"], "has none of the 4 annotated images"),
        ([], "--images FOLDER is missing"),
        (["--results", "{}/none.json"], "none.json: no such file"),
        (["--results", "{}/other.json"], "are of images that the annotations do not have"),
        (["--results", "{}/truth.json"], "is not a list of COCO's results"),
        (["--results", "{}/short.json"], "result 0 has 3 numbers in keypoints; these annotations have 51"),
        (["--images", "{}", "--effect", "rain"], "rain"),
        (["--images", "{}", "--limit", "0"], "--limit 0: give 1 or more"),
        (["--images", "{}", "--modle", "x"], "did you mean --model"),
    ],
)
def test_bad_words_get_one_line(
    words: list[str], said: str, truth: dict[int, list[list[float]]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "other.json").write_text(json.dumps([result(99, standing(9), 0.5)]))
    (tmp_path / "short.json").write_text(json.dumps([result(1, [1, 2, 3], 0.5)]))
    if "--effect" in words:
        cv2.imwrite(str(tmp_path / f"{1:012d}.png"), walk(1))
    given = [word.replace("{}", str(tmp_path)) for word in words]
    assert evaluate.main(["--annotations", str(tmp_path / "truth.json"), *given]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if "missing, such as" not in line]
    assert len(lines) == 1
    assert said in lines[0]


def test_an_empty_list_and_scores_that_are_not_finite_get_a_line_and_the_rest_is_done(
    truth: dict[int, list[list[float]]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty.json").write_text("[]")
    rows = [result(1, truth[1][0], float("nan")), result(1, truth[1][1], 0.5)]
    (tmp_path / "odd.json").write_text(json.dumps(rows))
    code, summary = run(tmp_path, "--results", str(tmp_path / "empty.json"), str(tmp_path / "odd.json"))
    assert code == 0
    assert summary["models"]["empty"]["AP"] == 0
    assert summary["models"]["odd"]["AR"] == pytest.approx(1 / (2 * IMAGES))
    said = capsys.readouterr().err
    assert "is an empty list" in said
    assert "left out 1 results with a score or keypoints that are not finite" in said


def test_images_that_a_model_was_trained_on_are_left_out(
    coco: Pair, truth: dict[int, list[list[float]]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    pair = [folder / "pose.prototxt", folder / "pose.caffemodel"]
    for file, place in zip(coco, pair, strict=True):
        place.write_bytes(Path(file).read_bytes())
    (folder / "trained_on.txt").write_text("1\n2\n")
    for image in truth:
        cv2.imwrite(str(tmp_path / f"{image:012d}.png"), walk(image))
    code, summary = run(tmp_path, "--images", str(tmp_path), "--model", ",".join(map(str, pair)))
    assert code == 0
    assert summary["images"] == IMAGES - 2
    assert "2 images are left out" in capsys.readouterr().err
