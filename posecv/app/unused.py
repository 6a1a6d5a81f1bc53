"""Options that have no effect beside the others of a command line."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["Store", "unused"]

RECORDS = "json", "csv", "angles", "coco_json", "heatmaps"
DRAWN = "output", "images"
# What an option needs one of.
NEEDS = {
    "keypoint_scale": ("json", "csv"),
    "json_form": ("json",),
    "json_layout": ("json",),
    "csv_form": ("csv",),
    "coco_annotations": ("coco_json",),
    "scale_gap": ("scale_number",),
    "hand_scales": ("hand", "face"),
    "hand_range": ("hand_scales",),
    "hand_merge": ("hand_scales",),
    "hand_model": ("hand",),
    "hand_net_size": ("hand",),
    "face_model": ("face",),
    "face_net_size": ("face",),
}
# What only drawn results use; without any output they are shown.
DRAWING = "alpha", "labels", "colors", "codec", "rate", "show_fps"
CAMERA = "camera_size", "camera_fps"


class Store(argparse._StoreAction):
    """Stores the value of an option, and notes if an option is given again with another value."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        given = vars(namespace).setdefault("given", {})
        again = vars(namespace).setdefault("again", {})
        if given.get(self.dest, values) != values:
            again[self.dest] = self.option_strings[-1]
        given[self.dest] = values
        super().__call__(parser, namespace, values, option)


def unused(options: argparse.Namespace, defaults: Mapping[str, Any]) -> list[str]:
    """A line about each option that is not used, or of whose values only the last one is.

    Parameters
    ----------
    options : argparse.Namespace
        The options of a script, parsed with `Store`.
    defaults : mapping
        Their defaults, by their names.
    """
    given = {name for name, value in vars(options).items() if name in defaults and value != defaults[name]}
    known = set(vars(options))
    again = vars(options).get("again", {}).values()
    lines = [f"{flag} is given several times; only the last one counts" for flag in again]
    needs = {name: [each for each in needed if each in known] for name, needed in NEEDS.items()}
    if "serve" not in known and given & set(RECORDS):
        needs |= {name: [each for each in DRAWN if each in known] for name in DRAWING}
    missing: dict[str, list[str]] = {}
    for name, needed in needs.items():
        if name in given and needed and not given & set(needed):
            missing.setdefault(" or ".join(map(_flag, needed)), []).append(name)
    lines += [_line(names, f"without {needed}") for needed, names in missing.items()]
    cameras = [name for name in CAMERA if name in given]
    if cameras and all(not word.isdecimal() for word in _inputs(options)):
        lines.append(_line(cameras, "without the number of a camera"))
    return lines


def _inputs(options: argparse.Namespace) -> Iterator[str]:
    """The inputs; the first camera if there are none."""
    words = vars(options).get("input")
    yield from [words] if isinstance(words, str) else words or ["0"]


def _line(names: list[str], without: str) -> str:
    return f"{' and '.join(map(_flag, names))} {'is' if len(names) == 1 else 'are'} not used {without}"


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
