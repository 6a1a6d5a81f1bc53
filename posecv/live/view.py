"""The picture: the newest frame with the people found last, and what is written on it in a window."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from posecv.live.controls import CONTROLS, State
from posecv.live.session import Found, Rates
from posecv.outputs.style import Style
from posecv.people import View

__all__ = ["add_heat", "facts", "picture", "write_help", "write_lines"]

Frame = NDArray[np.uint8]

FONT = cv2.FONT_HERSHEY_DUPLEX
LINE = 30  # height of a line of text in a picture of 720 rows; other sizes in proportion, but
SMALLEST_LINE = 15  # pixels, so that it can be read
SHADE = 0.35  # of the picture's brightness under text
STRONGEST = 0.85  # opacity of a heatmap where it is 1
KEY_NAMES = {" ": "space", "\x1b": "Escape"}


def picture(frame: Frame, found: Found | None, state: State, style: Style) -> Frame:
    """A frame with the people, or the heatmaps, that were found last; the frame itself is untouched."""
    if found is None:
        shown = frame.copy()
    elif state.heatmaps and found.people.view:
        shown = add_heat(frame, found.people.view, len(found.people.skeleton.keypoints))
    else:
        shown = style.drawn(frame, found.people)
    return cv2.flip(shown, 1).astype(np.uint8, copy=False) if state.mirrored else shown


def add_heat(frame: Frame, seen: View, heatmaps: int) -> Frame:
    """Lay the greatest heatmap of each place over a frame, from nothing where it is 0 to yellow where it is 1.

    Parameters
    ----------
    frame : (H, W, 3) uint8 array
        BGR.
    seen : View
        The maps, and where the frame lies in them; what is below 0 or above 1 counts as 0 or 1.
    heatmaps : int
        How many of the maps, from the first, count.

    Returns
    -------
    (H, W, 3) uint8 array
        A new picture.
    """
    corners = np.array([[0, 0], [1, 0], [0, 1]], np.float32)
    to_frame = cv2.getAffineTransform(corners, seen.fit.to_frame(corners))
    level = np.rint(255 * np.clip(seen.maps[:heatmaps].max(axis=0), 0, 1)).astype(np.uint8)
    level = cv2.warpAffine(level, to_frame, frame.shape[1::-1], flags=cv2.INTER_LINEAR)
    opacity = cv2.cvtColor(cv2.convertScaleAbs(level, alpha=STRONGEST), cv2.COLOR_GRAY2BGR)
    colors = cv2.applyColorMap(level, cv2.COLORMAP_INFERNO)
    behind = cv2.multiply(frame, 255 - opacity, scale=1 / 255)
    return cv2.add(behind, cv2.multiply(colors, opacity, scale=1 / 255)).astype(np.uint8, copy=False)


def facts(rates: Rates, state: State) -> str:
    """Rates and state in a line of ASCII, which is what OpenCV's fonts have."""
    speeds = f"camera {rates.capture:.0f}/s", f"network {rates.network:.1f}/s", f"latency {1000 * rates.latency:.0f} ms"
    marks = {"REC": state.recording, "paused": state.paused, "heatmaps": state.heatmaps, "mirror": state.mirrored}
    return "   ".join([*speeds, state.net_size, *(mark for mark, on in marks.items() if on)])


def write_lines(shown: Frame, lines: Sequence[str], *, bottom: bool = False) -> None:
    """Write lines on a dark band at the upper or lower edge, in place; what is too wide is written smaller."""
    height, width = shown.shape[:2]
    line = max(SMALLEST_LINE, round(LINE * height / 720))
    scale = cv2.getFontScaleFromHeight(FONT, max(5, round(0.5 * line)))
    widest = max(cv2.getTextSize(text, FONT, scale, 1)[0][0] for text in lines)
    scale *= min(1.0, (width - line) / max(widest, 1))
    tall = min(height, round(line * (len(lines) + 0.4)))
    top = height - tall if bottom else 0
    band = shown[top : top + tall]
    band[:] = cv2.convertScaleAbs(band, alpha=SHADE)
    for number, text in enumerate(lines):
        place = line // 2, top + round(line * (number + 0.9))
        cv2.putText(shown, text, place, FONT, scale, (255, 255, 255), 1, cv2.LINE_AA)


def write_help(shown: Frame) -> None:
    """Write all keys and what they do over the picture, in place."""
    lines = [f"{' or '.join(KEY_NAMES.get(key, key) for key in each.keys)}: {each.means}" for each in CONTROLS]
    write_lines(shown, lines, bottom=True)
