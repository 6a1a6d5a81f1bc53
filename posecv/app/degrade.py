"""`posecv degrade`: make the images of a folder dark, blurred, coarse or noisy, and scale their annotations."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from posecv.app.commands import CommandParser, find_pictures, run
from posecv.errors import InputError, OutputError, UsageError
from posecv.terminal import say

if TYPE_CHECKING:
    from posecv.arrays import Frame

__all__ = ["main"]

FORMS = ("posecv", "keras")
DEFAULT_SUFFIX = ".png"


def main(argv: Sequence[str] | None = None, prog: str = "posecv degrade") -> int:
    """Write a degraded copy of each image of a folder."""
    parser = CommandParser(
        prog,
        "Degrade the images of a folder.",
        "--form keras: exactly as keras-openpose-reproduce (brightness 0.5, a line of 30 pixels, half the size).",
    )
    parser.add_argument("folder", help="the images: a folder, a file or a quoted pattern")
    parser.add_argument("out", type=Path, help="the folder for the degraded images, which keep their names")
    effects = "dark, motion_blur, low_resolution or noise"
    parser.add_argument("--effect", required=True, metavar="NAME", help=effects)
    parser.add_argument("--strength", type=float, metavar="S", help="its strength (default: the effect's own)")
    parser.add_argument("--form", choices=FORMS, default=FORMS[0], help="whose definition of the effects (posecv)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the noise (0)")
    parser.add_argument(
        "--annotations", type=Path, metavar="FILE",
        help="keypoints of these images: copied to the folder, scaled where images become smaller",
    )  # fmt: skip
    return run(parser, argv, _work)


def _work(options: argparse.Namespace) -> int:
    from posecv.evaluation.coco import read_annotations
    from posecv.sources.pictures import read_picture

    change = _change(options)
    truth = read_annotations(options.annotations) if options.annotations else None
    paths = list(find_pictures([options.folder]))
    if any(path.parent.resolve() == options.out.resolve() for path in paths):
        raise UsageError(f"{options.out} is the folder of the images; give another one")
    written, failed = [], 0
    for path in paths:
        try:
            _write(options.out / path.name, change(read_picture(path)))
            written.append(path.name)
        except (InputError, OutputError) as error:
            say(str(error))
            failed += 1
    if truth is not None and written:
        _write_annotations(options, truth, written)
    if not written:
        return 2
    print(f"{options.out}: {len(written)} images, {options.effect}")
    return 1 if failed else 0


def _change(options: argparse.Namespace) -> Callable[[Frame], Frame]:
    """The function that degrades an image; UsageError for an unknown effect or strength."""
    import numpy as np

    from posecv.degrade import degrade, degrade_as_keras

    rng = np.random.default_rng(abs(options.seed))

    def change(frame: Frame) -> Frame:
        if options.form == "keras":
            return degrade_as_keras(frame, options.effect, strength=options.strength)
        return degrade(frame, options.effect, strength=options.strength, rng=rng)

    change(np.zeros((32, 32, 3), np.uint8))  # so that a mistake is told before any image is read
    return change


def _write(path: Path, frame: Frame) -> None:
    """Write an image in the format of its suffix, whole or not at all; OutputError if that fails."""
    import cv2

    from posecv.files import write_whole

    try:
        done, data = cv2.imencode(path.suffix or DEFAULT_SUFFIX, frame)
    except cv2.error:
        done = False
    if not done:
        raise OutputError(f"{path} cannot be written: this OpenCV cannot write {path.suffix} files")
    write_whole(path, data.tobytes())


def _write_annotations(options: argparse.Namespace, truth: dict[str, Any], names: Sequence[str]) -> None:
    """Write the annotations beside the images, scaled where these became smaller."""
    import json

    from posecv.degrade import KERAS_EFFECTS
    from posecv.evaluation.coco import scaled
    from posecv.files import write_whole

    factor = 1.0
    if options.form == "keras" and options.effect == "low_resolution":
        factor = options.strength or KERAS_EFFECTS["low_resolution"].default
    changed, missing = scaled(truth, factor), {Path(row["file_name"]).name for row in truth["images"]} - {*names}
    if missing:
        say(f"{options.annotations}: {len(missing)} of its images are not in {options.folder}, such as {min(missing)}")
    write_whole(options.out / options.annotations.name, json.dumps(changed).encode())
