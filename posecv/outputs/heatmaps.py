"""A network's maps, as images and as values."""

from __future__ import annotations

import difflib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np

from posecv.arrays import Array
from posecv.drawing.maps import farthest, overlay
from posecv.errors import UsageError
from posecv.geometry import Fit
from posecv.outputs.files import frame_file, is_filled, write_whole
from posecv.result import Result
from posecv.skeletons import Skeleton

__all__ = ["Heatmaps", "channels_of", "plain"]


def plain(item: str) -> str:
    """A name as used in file names: `Right_Wrist` becomes right-wrist."""
    return item.strip().lower().replace("_", "-").replace(" ", "-")


def channels_of(item: str, skeleton: Skeleton) -> list[int]:
    """The channels of a network's maps for a word of `--heatmaps-of`.

    Parameters
    ----------
    item : str
        "all" keypoints, the "background", all "pafs", a keypoint such as nose, or a limb such as neck-nose, which
        stands for the x and the y component of its field.
    skeleton : Skeleton
        What the channels are.

    Raises
    ------
    UsageError
        If the skeleton has no map of that name.

    Examples
    --------
    >>> from posecv.skeletons import COCO
    >>> channels_of("nose", COCO), channels_of("neck-nose", COCO)
    ([0], [47, 48])
    """
    count = len(skeleton.keypoints)
    known = {"all": list(range(count)), "background": [count]}
    known |= {plain(name): [index] for index, name in enumerate(skeleton.keypoints)}
    if skeleton.paf_channels:
        known["pafs"] = list(range(skeleton.heatmaps, skeleton.channels))
        for (start, end), channel in zip(skeleton.limbs, skeleton.paf_channels, strict=True):
            known[plain(f"{skeleton.keypoints[start]}-{skeleton.keypoints[end]}")] = [channel, channel + 1]
    if plain(item) not in known:
        turned = [name for name in known if sorted(name.split("-")) == sorted(plain(item).split("-"))]
        nearest = turned or difflib.get_close_matches(plain(item), known, n=3) or list(known)[:4]
        raise UsageError(f"heatmaps_of={item}: {skeleton.name} has no map of this name; try {', '.join(nearest)}")
    return known[plain(item)]


@dataclass(frozen=True)
class Heatmaps:
    """Writes the maps of one item per frame: `NAME_heatmaps_nose.npy`, and `NAME_heatmaps_nose.png` over the frame.

    The first holds the network's values, (C, h, w) float32, one cell per 8 x 8 pixels of its input, in the sense of the
    frame. If they show only a part of it, such as the box of a hand, `NAME_heatmaps_nose_box.json` says which. Fields
    have two images, `..._x.png` and `..._y.png`. An image of several maps shows the value farthest from 0.

    Attributes
    ----------
    path : Path
        Folder and name of the source.
    item : str
        A word that `channels_of` accepts.
    """

    path: Path
    item: str
    wants_view: ClassVar[bool] = True
    wants_rate: ClassVar[bool] = False
    interactive: ClassVar[bool] = False

    @property
    def values_file(self) -> Path:
        """The file for an image's values; in a video's files, the frame number comes before `_heatmaps`."""
        return self._file(None, ".npy")

    def _file(self, number: int | None, ending: str) -> Path:
        after = f"_heatmaps_{plain(self.item)}{ending}"
        return frame_file(self.path.with_name(self.path.name + after), number, after)

    def write(self, result: Result) -> None:
        """Write the files, the values last; OutputError if that fails."""
        if result.view is None or result.frame is None:
            raise UsageError("heatmaps needs the frame and the maps of a result, which were not kept")
        maps, fit = result.view
        skeleton = result.people.skeleton
        channels = channels_of(self.item, skeleton)
        if channels[-1] >= len(maps):
            raise UsageError(f"heatmaps_of={self.item}: this network has only heatmaps, no such maps")
        chosen, number = maps[channels], result.number
        height, width = result.frame.shape[:2]
        for ending, one in self._pictures(chosen, channels[0] >= skeleton.heatmaps).items():
            drawn = overlay(result.frame, fit.enlarged(farthest(one), (width, height)))
            write_whole(self._file(number, f"{ending}.png"), cv2.imencode(".png", drawn)[1].tobytes())
        if fit.mirrored:  # left hands
            chosen = np.ascontiguousarray(chosen[..., ::-1])
        if (box := _box(chosen, fit, (width, height))) is not None:
            write_whole(self._file(number, "_box.json"), json.dumps(box).encode())
        values = io.BytesIO()
        np.save(values, chosen)
        write_whole(self._file(number, ".npy"), values.getvalue())

    def _pictures(self, chosen: Array, fields: bool) -> dict[str, Array]:
        """The maps of each image, by the ending of its name."""
        return {"_x": chosen[::2], "_y": chosen[1::2]} if fields else {"": chosen}

    def has(self, number: int | None) -> bool:
        """Whether the frame's values exist."""
        return is_filled(self._file(number, ".npy"))

    def close(self) -> None:
        """Do nothing: the files are complete."""

    def __enter__(self) -> Heatmaps:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _box(maps: Array, fit: Fit, frame: tuple[int, int]) -> dict[str, float] | None:
    """Which part of a frame of width x height maps show, in pixels from the corner of the first one.

    None if it begins there, to a pixel of the network's input, and contains the whole frame.
    """
    height, width = maps.shape[-2:]
    corners = fit.to_frame(np.array([[-0.5, -0.5], [width - 0.5, height - 0.5]], np.float32)) + 0.5
    begin, end, near = corners.min(axis=0), corners.max(axis=0), 1 / fit.scale
    if (abs(begin) < near).all() and (end > np.array(frame) - near).all():
        return None
    (left, top), (wide, tall) = begin.tolist(), (end - begin).tolist()
    return {"x": round(left, 2), "y": round(top, 2), "width": round(wide, 2), "height": round(tall, 2)}
