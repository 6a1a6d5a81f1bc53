"""The shown image: the newest frame with the people found last, and the text on it in a window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from posecv.arrays import Frame
from posecv.drawing.maps import add_heat
from posecv.drawing.style import Style
from posecv.live.controls import CONTROLS, State
from posecv.live.session import Found, Rates

__all__ = ["facts", "picture", "write_help", "write_lines"]


FONT = cv2.FONT_HERSHEY_DUPLEX
LINE = 30  # height of a line of text in an image of 720 rows; proportional in other sizes
SMALLEST_LINE = 15  # pixels, so that text stays readable
SHADE = 0.35  # brightness of the image under text
KEY_NAMES = {" ": "space", "\x1b": "Escape"}


def picture(frame: Frame, found: Found | None, state: State, style: Style) -> Frame:
    """Draw the people or the heatmaps found last on a copy of a frame."""
    if found is None:
        shown = frame.copy()
    elif state.heatmaps and found.result.view:
        shown = add_heat(frame, found.result.view, len(found.result.people.skeleton.keypoints))
    else:
        shown = style.drawn(replace(found.result, frame=frame))
    return cv2.flip(shown, 1).astype(np.uint8, copy=False) if state.mirrored else shown


def facts(rates: Rates, state: State) -> str:
    """Rates and state as one line of ASCII, since OpenCV's fonts have no other characters."""
    speeds = f"camera {rates.capture:.0f}/s", f"network {rates.network:.1f}/s", f"latency {1000 * rates.latency:.0f} ms"
    marks = {"REC": state.recording, "paused": state.paused, "heatmaps": state.heatmaps, "mirror": state.mirrored}
    return "   ".join([*speeds, state.net_size, *(mark for mark, on in marks.items() if on)])


def write_lines(shown: Frame, lines: Sequence[str], *, bottom: bool = False) -> None:
    """Write lines on a dark band at the upper or lower edge, in place; long lines get smaller letters."""
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
    """Write all keys and their meanings over the image, in place."""
    lines = [f"{' or '.join(KEY_NAMES.get(key, key) for key in each.keys)}: {each.means}" for each in CONTROLS]
    write_lines(shown, lines, bottom=True)
