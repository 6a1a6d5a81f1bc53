"""Maps of a network: as a picture to look at, and as the values that it gave."""

from __future__ import annotations

import difflib
import io
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from posecv.errors import UsageError
from posecv.outputs.files import write_whole
from posecv.people import Array, People
from posecv.skeletons import Skeleton
from posecv.sources import Still

__all__ = ["Heatmaps", "channels_of", "overlay", "plain"]

Frame = NDArray[np.uint8]

ABOVE, BELOW = (40, 50, 235), (235, 110, 20)  # blue, green, red of values above and below 0
OPACITY = 0.85  # of a value of 1 or -1


def plain(item: str) -> str:
    """A name as it stands in files: `Right_Wrist` is right-wrist."""
    return item.strip().lower().replace("_", "-").replace(" ", "-")


def channels_of(item: str, skeleton: Skeleton) -> list[int]:
    """The channels of a network's maps that a word means.

    Parameters
    ----------
    item : str
        "all" keypoints, the "background", all "pafs", a keypoint such as nose, or a limb such as neck-nose, of which
        the x and the y component.
    skeleton : Skeleton
        What the channels are.

    Raises
    ------
    UsageError
        Where the skeleton has nothing of that name.

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
        raise UsageError(f"--heatmaps-of {item}: {skeleton.name} has no map of this name; try {', '.join(nearest)}")
    return known[plain(item)]


def overlay(frame: Frame, values: Array) -> Frame:
    """The frame in grey and a map's values over it: red above 0, blue below, stronger the farther from 0.

    Parameters
    ----------
    frame : (H, W, 3) uint8 array
        Blue, green, red; it stays as it is.
    values : (H, W) float32 array
        From -1 to 1; what lies beyond is shown as these are.
    """
    strength = (np.minimum(np.abs(values), 1) * OPACITY)[..., None]
    color = np.where(values[..., None] < 0, np.array(BELOW, np.float32), np.array(ABOVE, np.float32))
    grey = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)[..., None]
    return np.rint(grey + strength * (color - grey)).astype(np.uint8)


@dataclass(frozen=True)
class Heatmaps:
    """Writes one thing's maps a still: `NAME_heatmaps_nose.npy`, and `NAME_heatmaps_nose.png` over the frame.

    The first holds the network's own values, (C, h, w) float32, a cell for each 8 x 8 pixels of its input. Fields have
    two pictures, `..._x.png` and `..._y.png`; of several maps a picture shows the value farthest from 0.

    Attributes
    ----------
    path : Path
        Folder and name of the source.
    item : str
        What is shown, as `channels_of` knows it.
    """

    path: Path
    item: str

    @property
    def values_file(self) -> Path:
        """Where a picture's values go; a film's files have their frames' numbers before `_heatmaps`."""
        return self._file("", ".npy")

    def _file(self, number: str, ending: str) -> Path:
        return self.path.with_name(f"{self.path.name}{number}_heatmaps_{plain(self.item)}{ending}")

    def _number(self, still: Still) -> str:
        return "" if still.number is None else f"_{still.number:012d}"

    def write(self, still: Still, people: People) -> None:
        """Write the files, the values last; OutputError where that fails."""
        assert people.view is not None
        maps, fit = people.view
        channels = channels_of(self.item, people.skeleton)
        if channels[-1] >= len(maps):
            raise UsageError(f"--heatmaps-of {self.item}: this network has no such maps, its heatmaps alone")
        chosen, number = maps[channels], self._number(still)
        height, width = still.frame.shape[:2]
        for ending, one in self._pictures(chosen, channels[0] >= people.skeleton.heatmaps).items():
            drawn = overlay(still.frame, fit.enlarged(_farthest(one), (width, height)))
            write_whole(self._file(number, f"{ending}.png"), cv2.imencode(".png", drawn)[1].tobytes())
        values = io.BytesIO()
        np.save(values, chosen)
        write_whole(self._file(number, ".npy"), values.getvalue())

    def _pictures(self, chosen: Array, fields: bool) -> dict[str, Array]:
        """The maps of each picture, by what its name ends with."""
        return {"_x": chosen[::2], "_y": chosen[1::2]} if fields else {"": chosen}

    def has(self, still: Still) -> bool:
        """Whether the still's values are there."""
        return self._file(self._number(still), ".npy").exists()

    def close(self) -> None:
        """Nothing is left to do: the files are whole."""


def _farthest(maps: Array) -> Array:
    """(h, w) of (C, h, w): in each cell the value farthest from 0."""
    which = np.abs(maps).argmax(axis=0)
    return np.take_along_axis(maps, which[None], axis=0)[0]
