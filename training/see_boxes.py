"""Write down the boxes that PicoDet finds in the images without human boxes, for a detector to learn from.

    python -m training.see_boxes --data ../shared/training --to cache/boxes.jsonl.gz

`training.pack body --boxes` reads them. Five minutes on two cores.
"""

from __future__ import annotations

import argparse
import gzip
import json
from pathlib import Path

from posecv.terminal import ends_unread
from training import teacher
from training.data import decoded
from training.pack import members

FAINT = 0.12  # score of a box below which nothing is taken for a person


@ends_unread
def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Write down PicoDet's boxes in the photographs of people.")
    parser.add_argument("--data", type=Path, required=True, help="folder of the data")
    parser.add_argument("--to", type=Path, required=True)
    args = parser.parse_args()
    detect = teacher.detector(args.data / "teacher", FAINT)
    count = 0
    with gzip.open(args.to, "wt") as out:
        for name, content in members(args.data / "body"):
            boxes = detect(decoded(content)).round(3).tolist()
            out.write(json.dumps({"file": name, "boxes": boxes}) + "\n")
            count += len(boxes)
    print(f"{count} boxes in {args.to}")


if __name__ == "__main__":
    main()
