"""`posecv domain`: tell whether images are normal, dark, blurred, coarse or noisy."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from posecv.app.commands import CommandParser, find_pictures, run
from posecv.errors import InputError
from posecv.terminal import say

__all__ = ["main"]


def main(argv: Sequence[str] | None = None, prog: str = "posecv domain") -> int:
    """Print a line for each image; with `--json` also write them in the form of keras-openpose-reproduce."""
    parser = CommandParser(prog, "Tell the domain of images: normal, dark, motion blur, low resolution or noise.")
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="images, folders or quoted patterns")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write image_id and effect_prob of each image")
    return run(parser, argv, _work)


def _work(options: argparse.Namespace) -> int:
    from posecv.domain import load_classifier
    from posecv.files import write_whole
    from posecv.outputs.files import prepare_files
    from posecv.sources.pictures import read_picture

    classifier = load_classifier()
    # An argument that is given twice has two entries, so each is looked up by itself.
    paths = [path for word in options.images for path in find_pictures([word])]
    if options.json:
        prepare_files([options.json], paths)
    entries, failed = [], 0
    for path in paths:
        try:
            found = classifier(read_picture(path))
        except InputError as error:
            say(str(error))
            failed += 1
            continue
        print(f"{path}: {_described(found)}", flush=True)
        entries.append(entry(path, found))
    if options.json and entries:
        write_whole(options.json, (json.dumps(entries, indent=1) + "\n").encode())
    return 0 if not failed else (1 if entries else 2)


def _described(found: Mapping[str, float]) -> str:
    """The probabilities, the largest first."""
    ordered = sorted(found.items(), key=lambda pair: -pair[1])
    words = [f"{name.replace('_', ' ')} {share:.3f}" for name, share in ordered]
    return f"{words[0]} ({', '.join(words[1:])})"


def entry(path: Path, found: Mapping[str, float]) -> dict[str, Any]:
    """An image in the old form: its number, or its name, and the probabilities of normal, dark and motion blur.

    >>> entry(Path("val/COCO_val2014_000000000139.jpg"), {"normal": 0.6, "dark": 0.2, "motion_blur": 0, "noise": 0.2})
    {'image_id': 139, 'effect_prob': [0.75, 0.25, 0.0]}
    """
    from posecv.domain import KERAS_DOMAINS

    total = sum(found[name] for name in KERAS_DOMAINS) or 1.0
    numbers = re.findall(r"\d+", path.stem)
    return {
        "image_id": int(numbers[-1]) if numbers else path.name,
        "effect_prob": [round(found[name] / total, 6) for name in KERAS_DOMAINS],
    }
