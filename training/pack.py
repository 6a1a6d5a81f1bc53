"""Convert several data formats into one: shards of small images with everybody's keypoints.

    python -m training.pack body --data ../shared/training --to cache/body      # the project's images
    python -m training.pack coco --data /data/coco --to cache/coco              # COCO's own files, train2014 or 2017
    python -m training.pack hand --data ../shared/training --to cache/hand

A shard is an uncompressed tar of at most 30 MB: images as WebP, at most `--short-side` pixels on the shorter side,
and `labels.jsonl`, with a line for each image:

    {"file", "split": "train"|"val"|"test", "source",
     "people": [[[x, y, height] * K], ...], "ignore": [[x, y, width, height], ...],
     "boxes": [[x, y, width, height, height of the bump], ...]}

and "hand": "left"|"right" for a crop of a hand of known side. "boxes" are those of people, by humans or by
`training.see_boxes` (`--boxes`), for a detector; in one whose bump has the height 0 a detector learns nothing.

x and y are pixels of the stored image, the centre of the first pixel 0, 0. `height` is that of the bump that the
heatmap gets: 1 where a human set the keypoint, less where a network did, 0 where it is not known. What happens inside a
box to `ignore` teaches nothing.
"""

from __future__ import annotations

import argparse
import gzip
import io
import itertools
import json
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from posecv.oks import likeness, sigmas_of
from posecv.skeletons import COCO, COCO_17
from posecv.terminal import ends_unread
from training import HELD_OUT
from training.data import decoded

Array = NDArray[np.float32]
Record = dict[str, Any]
Labels = tuple[list[Array], list[list[float]]]  # people's keypoints, boxes to ignore
Scored = list[tuple[float, Array]]  # people's scores and keypoints

SHARD_BYTES = 30_000_000
SAME_PERSON = 0.3  # two sets of keypoints with a higher OKS belong to one person
SURE_PERSON, SURE_KEYPOINT = 0.25, 0.3  # of the top-down teacher
CERTAIN = 0.7  # a teacher's keypoint of this score makes a bump of full height
SURE_BOX, CERTAIN_BOX = 0.35, 0.6  # likewise a teacher's box
HAND_CROP = 2.2  # sides of the box round a hand that a crop of it shows
HALF_PIXEL = 0.5  # COCO counts from the corner of the first pixel
# COCO's 17 keypoints in OpenPose's order; -1 is the neck, the middle of the shoulders.
FROM_COCO = tuple(COCO_17.index(name) if name in COCO_17 else -1 for name in COCO.keypoints)
RIGHT_SHOULDER, LEFT_SHOULDER = 2, 5
SIGMAS = sigmas_of(COCO.keypoints)


def in_openpose_order(keypoints: Array) -> Array:
    """(17, 3) keypoints of COCO to OpenPose's 18; the last column says how sure each is, 0 for not known."""
    out = keypoints[list(FROM_COCO)].copy()
    shoulders = out[[RIGHT_SHOULDER, LEFT_SHOULDER]]
    out[1] = shoulders.mean(axis=0) if (shoulders[:, 2] > 0).all() else 0
    out[:, :2] -= HALF_PIXEL
    out[:, 2] *= out[:, 2] > 0
    return out


def box_of(keypoints: Array) -> list[float]:
    """x, y, width, height around the known keypoints, a fifth larger."""
    known = keypoints[keypoints[:, 2] > 0, :2]
    low, size = known.min(axis=0), np.ptp(known, axis=0)
    low, size = low - 0.1 * size - 2, 1.2 * size + 4
    return [round(float(v), 1) for v in (*low, *size)]


def merged(human: list[Array], taught: Scored, seen: Scored) -> Labels:
    """Everybody's keypoints from the best source, and boxes with unknown content.

    `human` comes first; then the top-down teacher's people, `taught`; then those that another network alone has `seen`,
    which are only to be ignored unless it was sure.
    """
    people, ignored = list(human), []
    for score, keypoints in taught:
        if any(likeness(keypoints, other, SIGMAS) > SAME_PERSON for other in people):
            continue
        known = keypoints.copy()
        known[:, 2] = np.where(known[:, 2] >= SURE_KEYPOINT, np.minimum(known[:, 2] / CERTAIN, 1), 0)
        if score >= SURE_PERSON and np.count_nonzero(known[:, 2]) >= 3:
            people.append(known)
        else:
            ignored.append(box_of(keypoints))
    for score, keypoints in seen:
        if any(likeness(keypoints, other, SIGMAS) > SAME_PERSON / 2 for other in people):
            continue
        if score >= 0.5 and np.count_nonzero(keypoints[:, 2]) >= 6:
            people.append(np.concatenate([keypoints[:, :2], np.minimum(keypoints[:, 2:] / CERTAIN, 1)], axis=1))
        else:
            ignored.append(box_of(keypoints))
    return people, ignored


def shared_body(data: Path, seen: Path | None, boxes: Path | None = None) -> Iterator[tuple[Record, bytes]]:
    """The project's photographs: COCO's with human keypoints, further ones with the teachers'."""
    yield from _shared_coco(data / "coco")
    found = {record["file"]: teachers_boxes(record["boxes"]) for record in _lines(boxes)} if boxes else {}
    for record, content in _shared_further(data / "body", seen):
        yield {**record, "boxes": found.get(record["file"], [])}, content


def _shared_coco(folder: Path) -> Iterator[tuple[Record, bytes]]:
    truth = json.loads(gzip.decompress((folder / "person_keypoints.json.gz").read_bytes()))
    split = {image["file_name"]: "val" if image["id"] % HELD_OUT == 0 else "train" for image in truth["images"]}
    boxes = coco_boxes(truth)
    for record, content in _joined(folder, coco_people(truth), split, "coco"):
        yield {**record, "boxes": boxes[record["file"]]}, content


def coco_boxes(truth: Record) -> dict[str, list[list[float]]]:
    """File name -> boxes of people, each with the height of its bump: 1, 0 for a crowd."""
    names = {image["id"]: image["file_name"] for image in truth["images"]}
    boxes: dict[str, list[list[float]]] = {name: [] for name in names.values()}
    for each in truth["annotations"]:
        boxes[names[each["image_id"]]].append([*each["bbox"], 0.0 if each["iscrowd"] else 1.0])
    return boxes


def teachers_boxes(scored: list[list[float]]) -> list[list[float]]:
    """A detector's boxes with scores -> with the heights of their bumps, 0 for those that may be nobody."""
    return [[*box, min(score / CERTAIN_BOX, 1) if score >= SURE_BOX else 0] for *box, score in scored]


def coco_people(truth: Record) -> dict[str, Labels]:
    """File name -> people with keypoints, boxes of people without, of a COCO annotation file."""
    names = {image["id"]: image["file_name"] for image in truth["images"]}
    people: dict[str, Labels] = {name: ([], []) for name in names.values()}
    for each in truth["annotations"]:
        human, ignored = people[names[each["image_id"]]]
        if each["iscrowd"] or not each["num_keypoints"]:
            ignored.append(each["bbox"])
        else:
            points = np.array(each["keypoints"], np.float32).reshape(17, 3)
            points[:, 2] = points[:, 2] > 0
            human.append(in_openpose_order(points))
    return people


def _shared_further(folder: Path, seen: Path | None) -> Iterator[tuple[Record, bytes]]:
    people: dict[str, Labels] = {}
    split: dict[str, str] = {}
    for record in _lines(folder / "labels.jsonl.gz"):
        human = [np.array(person["keypoints"], np.float32) for person in record["people"]]
        for points in human:
            points[:, 2] = points[:, 2] > 0
        people[record["file"]] = (human, [])
        split[record["file"]] = record["split"]
    yield from _joined(folder, people, split, "body", _by_file(seen, np.asarray) if seen else {})


def _joined(
    folder: Path, people: Mapping[str, Labels], split: Mapping[str, str], source: str,
    seen: Mapping[str, Scored] = MappingProxyType({}),
) -> Iterator[tuple[Record, bytes]]:
    """Images of a folder's tars with the human's and the teachers' people joined."""
    taught = _by_file(folder / "teacher.jsonl.gz", in_openpose_order)
    for name, content in members(folder):
        human, boxes = people[name]
        everybody, ignored = merged(human, taught.get(name, []), seen.get(name, []))
        origin = name.split("/")[0] if "/" in name else source
        known = {"file": name, "split": split[name], "source": origin}
        yield {**known, "people": everybody, "ignore": boxes + ignored}, content


def _by_file(path: Path, convert: Any) -> dict[str, Scored]:
    found = {}
    for record in _lines(path):
        found[record["file"]] = [
            (person["score"], convert(np.array(person["keypoints"], np.float32))) for person in record["people"]
        ]
    return found


def _lines(path: Path) -> Iterator[Record]:
    with gzip.open(path, "rt") as file:
        yield from map(json.loads, file)


def members(folder: Path) -> Iterator[tuple[str, bytes]]:
    for shard in sorted(folder.glob("*.tar")):
        with tarfile.open(shard) as tar:
            for member in tar:
                file = tar.extractfile(member)
                if file is not None and member.name.endswith(".webp"):
                    yield member.name, file.read()


def own_coco(data: Path, seen: Path | None) -> Iterator[tuple[Record, bytes]]:
    """COCO's own files: `annotations/person_keypoints_*.json` and the folders of images that they name."""
    for path in sorted((data / "annotations").glob("person_keypoints_*.json")):
        part = path.stem.removeprefix("person_keypoints_")
        everybody = coco_people(json.loads(path.read_text()))
        for name, (human, ignored) in everybody.items():
            picture = data / part / name
            if human and picture.is_file():
                split = "val" if part.startswith("val") else "train"
                known = {"file": name, "split": split, "source": "coco"}
                yield {**known, "people": human, "ignore": ignored}, picture.read_bytes()


def shared_crops(folder: Path, keypoints: int) -> Iterator[tuple[Record, bytes]]:
    """Crops of hands or faces: one person's keypoints an image."""
    labels = {record["file"]: record for record in _lines(folder / "labels.jsonl.gz")}
    for name, content in members(folder):
        record = labels[name]
        points = np.array(record["keypoints"], np.float32)
        points[:, 2] = points[:, 2] > 0
        if keypoints > len(points):  # the pupils: the mean of each eye's six points
            pupils = [points[first : first + 6].mean(axis=0) for first in (36, 42)]
            points = np.concatenate([points, pupils])
            points[68:, 2] = points[68:, 2] == 1
        made: Record = {key: record[key] for key in ("file", "split", "source", "origin", "hand") if key in record}
        yield {**made, "people": [points], "ignore": []}, content


def shared_hands(data: Path, seen: Path | None) -> Iterator[tuple[Record, bytes]]:
    """Crops of hands, and further ones from the photographs of people where a network has `seen` hands."""
    yield from shared_crops(data / "hand", 21)
    if seen is None:
        return
    hands = {record["file"]: record["hands"] for record in _lines(seen)}
    cropped = {Path(record["origin"]).name for record in _lines(data / "hand" / "labels.jsonl.gz")}
    for name, content in itertools.chain(members(data / "coco"), members(data / "body")):
        if not hands.get(name) or Path(name).stem in cropped:
            continue
        source = name.split("/")[0] if "/" in name else "coco"
        frame = decoded(content)
        for number, hand in enumerate(hands[name]):
            points = np.array(hand["keypoints"])
            low, high = points.min(axis=0), points.max(axis=0)
            reach = HAND_CROP / 2 * (high - low).max()
            left, top = np.maximum((low + high) / 2 - reach, 0).astype(int)
            right, bottom = ((low + high) / 2 + reach).astype(int)
            crop = frame[top : bottom + 1, left : right + 1]
            person = np.concatenate([points - (left, top), np.ones((len(points), 1))], axis=1)
            file = f"{Path(name).with_suffix('')}-hand-{number}.webp"
            made: Record = {"file": file, "split": "train", "source": f"{source}-seen", "origin": name}
            made |= {"hand": hand["hand"], "people": [person], "ignore": []}
            yield made, cv2.imencode(".webp", crop, [cv2.IMWRITE_WEBP_QUALITY, 90])[1].tobytes()


FORMS: dict[str, Callable[[Path, Path | None], Iterator[tuple[Record, bytes]]]] = {
    "body": shared_body,
    "coco": own_coco,
    "hand": shared_hands,
    "face": lambda data, seen: shared_crops(data / "face", 70),
}


def shrunk(record: Record, content: bytes, short_side: int, quality: int) -> tuple[Record, bytes]:
    """The image, reduced to this size if it is larger, and its labels in its pixels."""
    picture = decoded(content)
    scale = short_side / min(picture.shape[:2])
    if scale < 1:
        size = [round(side * scale) for side in picture.shape[1::-1]]
        exact = np.array(size) / picture.shape[1::-1]
        smaller = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        content = cv2.imencode(".webp", smaller, [cv2.IMWRITE_WEBP_QUALITY, quality])[1].tobytes()
    else:
        exact = np.ones(2)
    people = []
    for points in record["people"]:
        points = np.array(points, np.float64)
        points[:, :2] = (points[:, :2] + HALF_PIXEL) * exact - HALF_PIXEL
        people.append(points.round(2).tolist())
    ignored = (np.array(record["ignore"], np.float64).reshape(-1, 4) * np.tile(exact, 2)).round(1).tolist()
    boxes = np.array(record.get("boxes", []), np.float64).reshape(-1, 5) * [*exact, *exact, 1]
    return {**record, "people": people, "ignore": ignored, "boxes": boxes.round(2).tolist()}, content


def write_shards(pictures: Iterable[tuple[Record, bytes]], folder: Path) -> int:
    """Write shards of at most `SHARD_BYTES`; return how many images they hold."""
    folder.mkdir(parents=True, exist_ok=True)
    count = shard = 0
    records: list[Record] = []
    contents: list[bytes] = []

    def close() -> None:
        lines = "".join(json.dumps(record, separators=(",", ":")) + "\n" for record in records).encode()
        names = ["labels.jsonl", *(record["file"] for record in records)]
        with tarfile.open(folder / f"shard-{shard}.tar", "w") as tar:
            for name, content in zip(names, [lines, *contents], strict=True):
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))

    for record, content in pictures:
        if sum(map(len, contents)) + len(content) > 0.9 * SHARD_BYTES:
            close()
            records, contents, shard = [], [], shard + 1
        records.append(record)
        contents.append(content)
        count += 1
    if records:
        close()
    return count


@ends_unread
def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Pack training images and labels into shards.")
    parser.add_argument("form", choices=FORMS)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data")
    parser.add_argument("--to", type=Path, required=True, help="folder for the shards")
    parser.add_argument("--seen", type=Path, help="what training.see, for hands training.see_hands, wrote")
    parser.add_argument("--boxes", type=Path, help="what training.see_boxes wrote")
    parser.add_argument("--short-side", type=int, default=480, help="pixels; 240 makes shards of 100 MB in all")
    parser.add_argument("--quality", type=int, default=75, help="of WebP, for images that are shrunk")
    args = parser.parse_args()
    form = partial(shared_body, boxes=args.boxes) if args.form == "body" else FORMS[args.form]
    labelled = form(args.data, args.seen)
    pictures = (shrunk(record, content, args.short_side, args.quality) for record, content in labelled)
    print(f"{write_shards(pictures, args.to)} images in {args.to}")


if __name__ == "__main__":
    main()
