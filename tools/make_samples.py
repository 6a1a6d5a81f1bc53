"""Make the photographs of `samples/` from where they come from.

    python -m tools.make_samples COCO

It needs scikit-image and matplotlib, which bring three of them, and a folder of COCO pictures for the others: shards
`images-*.tar` with `person_keypoints.json.gz`. `samples/README.md` says who made them and what is done to them here.
`tools/make_clip.py` makes the clip.
"""

from __future__ import annotations

import argparse
import gzip
import importlib.util
import json
import sys
import tarfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from posecv.terminal import ends_unread

ROOT = Path(__file__).resolve().parents[1]
QUALITY = 90
CC_BY = 4  # COCO's number of the licence CC BY 2.0.

PACKAGED = {
    "astronaut.jpg": ("skimage", "data/astronaut.png"),
    "camera.jpg": ("skimage", "data/camera.png"),
    "grace_hopper.jpg": ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
}
# COCO's number of the picture, and what is kept of it: left, top, right, bottom.
FROM_COCO: dict[str, tuple[int, tuple[int, int, int, int] | None]] = {
    "team.jpg": (281759, None),
    "player.jpg": (239537, None),
    "skater.jpg": (229553, None),
    "hand.jpg": (110449, (118, 120, 388, 360)),
}


def packaged(package: str, path: str) -> Path:
    """Where an installed package keeps a picture."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"{package} is missing, and {path} with it: pip install scikit-image matplotlib")
    return Path(spec.submodule_search_locations[0]) / path


def coco_pictures(folder: Path, numbers: set[int]) -> dict[int, NDArray[np.uint8]]:
    """Read the pictures of these numbers, all of which must be CC BY 2.0."""
    if not folder.is_dir():
        raise SystemExit(f"{folder} is missing; name the folder of the COCO pictures")
    with gzip.open(folder / "person_keypoints.json.gz") as file:
        records: list[dict[str, Any]] = json.load(file)["images"]
    names = {}
    for record in records:
        if record["id"] in numbers:
            if record["license"] != CC_BY:
                raise SystemExit(f"COCO's picture {record['id']} is not CC BY 2.0 and must not be shipped")
            names[record["file_name"]] = record["id"]
    pictures = {}
    for shard in sorted(folder.glob("images-*.tar")):
        with tarfile.open(shard) as archive:
            for member in archive:
                stored = archive.extractfile(member) if member.name in names else None
                if stored is not None:
                    data = np.frombuffer(stored.read(), np.uint8)
                    pictures[names[member.name]] = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    return pictures


def save(path: Path, picture: NDArray[Any]) -> None:
    """Write a JPEG."""
    if not cv2.imwrite(str(path), picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY]):
        raise SystemExit(f"{path} could not be written")
    print(f"{path.name}: {picture.shape[1]} x {picture.shape[0]}, {path.stat().st_size:,} bytes")


def make_samples(output: Path, coco: Path) -> None:
    """Write all photographs into a folder."""
    output.mkdir(parents=True, exist_ok=True)
    for name, (package, path) in PACKAGED.items():
        source = packaged(package, path)
        if source.suffix == ".jpg":  # as it is: saving it again would only lose
            (output / name).write_bytes(source.read_bytes())
        else:
            save(output / name, np.asarray(cv2.imread(str(source), cv2.IMREAD_UNCHANGED)))
    pictures = coco_pictures(coco, {number for number, _ in FROM_COCO.values()})
    for name, (number, box) in FROM_COCO.items():
        picture = pictures[number]
        left, top, right, bottom = box or (0, 0, picture.shape[1], picture.shape[0])
        save(output / name, picture[top:bottom, left:right])


@ends_unread
def main(arguments: list[str] | None = None) -> int:
    """Read the command line and make the photographs."""
    parser = argparse.ArgumentParser(description="Make the photographs of samples/.")
    parser.add_argument("coco", type=Path, metavar="COCO", help="folder of the COCO pictures")
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "samples", help="folder (default: samples/)")
    options = parser.parse_args(arguments)
    make_samples(options.output, options.coco)
    return 0


if __name__ == "__main__":
    sys.exit(main())
