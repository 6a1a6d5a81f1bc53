"""Skeletons on a frame.

Limbs are ellipses in the skeleton's colours, and keypoints are discs at their ends. Their thickness depends on the size
of the person. A whole person is painted before it is blended into the frame: where two limbs cross, the later one
covers the earlier one, and their colours do not mix. The colours and the drawn limbs follow OpenPose.

>>> from posecv.people import People, checked_people
>>> from posecv.skeletons import COCO
>>> frame = np.full((48, 64, 3), 255, np.uint8)
>>> draw_people(frame, People.empty(COCO)) is frame
True
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from posecv.arrays import Frame, checked_frame
from posecv.checks import check_number, known_arguments
from posecv.drawing.room import Room
from posecv.errors import InputError, UsageError
from posecv.people import People, checked_people
from posecv.skeletons import FACE, HAND, Skeleton

__all__ = ["ALPHA", "DRAWN_ABOVE", "LABELS", "draw_labels", "draw_people", "draw_rate"]

Floats = NDArray[np.float32]
Ints = NDArray[np.signedinteger[Any]]
Bools = NDArray[np.bool_]

LABELS = ("none", "index", "name")  # What can be written beside each keypoint.

ALPHA = 0.8  # Opacity of a confident limb: clear on a slide, and the image still shows through.
CERTAIN = 0.5  # Limbs and keypoints that score this or more have the full opacity,
FAINTEST = 0.25  # those that score 0 have this share of it.

DRAWN_ABOVE = {"hand": 0.2, "face": 0.4}  # OpenPose's render thresholds; weaker keypoints are only written to files

# Half width of a limb as a share of the person's longer side. OpenPose draws hands thicker than bodies, and faces as
# thin lines.
HALF_WIDTHS = {"hand": 1 / 55, "face": 1 / 250}
BODY_HALF_WIDTH = 1 / 80
SLIMNESS = 1 / 6  # Half width of a short limb as a share of its length, so that faces do not become blots.
THINNEST = 1.5  # Minimum half width in pixels, so that small people stay visible; those who are smaller still, and
THIN_FROM = 45  # small hands, span less than this and have thinner lines,
HAIRLINE = 0.85  # down to this half width, so that they do not become blots.
DISC = 1.2  # Radius of a keypoint as a multiple of the half width of the thickest limb it ends.

TILE = 512  # Pixels: a person is painted in tiles of this size, which limits memory on huge frames.
MARGIN = 3  # Pixels round each tile, where OpenCV draws the ends of smooth lines that it cuts.
SHIFT = 4  # OpenCV's fixed-point drawing coordinates: 1/16 of a pixel.
EDGE = 0.7  # Pixels by which OpenCV's smooth edge exceeds the polygon that it fills.
EPSILON = 1e-6  # Pixels: avoids a division by 0 for a limb whose ends coincide.
FONT = cv2.FONT_HERSHEY_SIMPLEX
LETTER = 22  # Pixels: height of a capital of this font at scale 1.
LETTER_SHARE = 1 / 55  # Height of a label's letters as a share of the frame's shorter side,
LEAST_LETTER = 8  # and their minimum in pixels, so that they stay readable.
FARTHEST = 1e6  # Pixels: coordinates are clipped to this, since fixed-point ones would overflow farther outside.


@known_arguments
def draw_people(
    frame: Frame, people: People, *, threshold: float = 0.0, alpha: float = ALPHA, limbs: bool = True
) -> Frame:
    """Draw every person's skeleton on the frame, in place.

    Parameters
    ----------
    frame : (H, W, 3) uint8 array
        Blue, green, red. It is changed, as by OpenCV's own drawing functions; pass a copy to keep it.
    people : People
        In pixels of the frame; integer coordinates are the centres of pixels. The first person, the best, is drawn on
        top.
    threshold : float
        Keypoints that score this or less are not drawn, nor are their limbs. People's hands and faces have at least the
        thresholds of `DRAWN_ABOVE`.
    alpha : float
        Opacity, 0 to 1, of limbs and keypoints that score at least 0.5; weaker ones are fainter.
    limbs : bool
        Whether the lines between the keypoints are drawn.

    Returns
    -------
    (H, W, 3) uint8 array
        The given frame.

    Raises
    ------
    InputError
        If the frame is another kind of array, or read-only.
    UsageError
        If `alpha` is not between 0 and 1.
    """
    _check(frame)
    checked_people(people)
    check_number("threshold", threshold)
    check_number("alpha", alpha)
    if not 0 <= alpha <= 1:
        raise UsageError(f"alpha is {alpha}; it must be between 0 (transparent) and 1 (opaque)")
    if not len(people):
        return frame
    shown, outlines, colors = _strokes(people, max(threshold, 0.0), alpha)
    shown[:, : len(people.skeleton.drawn_limbs)] &= limbs
    points = np.ascontiguousarray(outlines.transpose(2, 0, 1, 3))  # NumPy is slow if the inner axes are short
    low = np.floor(points.min(axis=0)).astype(int) - MARGIN  # (N, S, 2)
    high = np.ceil(points.max(axis=0)).astype(int) + MARGIN + 1
    polygons = np.rint(outlines * (1 << SHIFT)).astype(np.int32)
    for person in reversed(range(len(people))):
        _paint(frame, *(strokes[person, shown[person]] for strokes in (polygons, low, high, colors)))
    for parts, skeleton in ((people.hands, HAND), (people.faces, FACE)):
        if parts is not None:
            keypoints = parts.reshape(-1, len(skeleton.keypoints), 3)
            own = People(keypoints, keypoints[..., 2].mean(axis=1), skeleton)
            draw_people(frame, own, threshold=max(threshold, DRAWN_ABOVE[skeleton.name]), alpha=alpha, limbs=limbs)
    return frame


def draw_labels(frame: Frame, people: People, *, labels: str, threshold: float = 0.0) -> Frame:
    """Write each keypoint's "index" or "name" beside it, in place, and return the frame.

    Names are short: "R knee" is the right knee. Where a label would cover another one or a keypoint, it is written as
    near as there is room, with a line to its keypoint. People's hands and faces get no labels: there is no room.
    """
    if labels == "none":
        return frame
    names = [_short(name) for name in people.skeleton.keypoints] if labels == "name" else None
    letters = max(LEAST_LETTER, LETTER_SHARE * min(frame.shape[:2]))
    drawn = np.isfinite(people.keypoints).all(axis=-1) & (people.keypoints[..., 2] > max(threshold, 0.0))
    room = Room(frame.shape[1::-1], people.keypoints[drawn][:, :2], letters)
    written = []
    for person, keypoint in np.argwhere(drawn).tolist():
        text = str(keypoint) if names is None else names[keypoint]
        x, y = np.clip(people.keypoints[person, keypoint, :2], -FARTHEST, FARTHEST).tolist()
        place, line = room.take((x, y), _size(text, letters))
        written.append((text, place))
        if line is not None:
            cv2.line(frame, *line, (255, 255, 255), 1, cv2.LINE_AA)
    for text, place in written:
        _write(frame, text, place, letters)
    return frame


def _short(name: str) -> str:
    """A keypoint's name as it is written: `right_knee` becomes R knee."""
    return name.replace("right_", "R ").replace("left_", "L ").replace("_", " ")


def _size(text: str, letters: float) -> tuple[float, float]:
    """Width and height in pixels of written text with its outline."""
    (long, _), _ = cv2.getTextSize(text, FONT, letters / LETTER, 1)
    return long + letters / 4, letters + letters / 4


def draw_rate(frame: Frame, rate: float) -> Frame:
    """Write the frame rate into the upper left corner, in place, and return the frame."""
    letters = max(1.5 * LEAST_LETTER, 1.5 * LETTER_SHARE * min(frame.shape[:2]))
    _write(frame, f"{rate:.1f} frames/s", (letters / 2, 1.5 * letters), letters)
    return frame


def _write(frame: Frame, text: str, place: tuple[float, float], letters: float) -> None:
    """Write text of a given letter height, its lower left corner at x, y or as near as it fits into the frame.

    White letters with a black outline are readable on any background.
    """
    height, width = frame.shape[:2]
    scale, margin = letters / LETTER, letters / 4
    (long, _), _ = cv2.getTextSize(text, FONT, scale, 1)
    x = max(min(place[0], width - long - margin), margin)
    y = max(min(place[1], height - margin), letters + margin)
    corner = round(min(x, FARTHEST)), round(min(y, FARTHEST))
    thickness, edge = max(1, round(letters / 11)), max(1, round(letters / 12))
    around = [(dx, dy) for dx in (-edge, 0, edge) for dy in (-edge, 0, edge)]
    for dx, dy in (*around, (0, 0)):  # thicker black letters below would do, but OpenCV 5 cannot draw them
        color = (255, 255, 255) if (dx, dy) == (0, 0) else (0, 0, 0)
        cv2.putText(frame, text, (corner[0] + dx, corner[1] + dy), FONT, scale, color, thickness, cv2.LINE_AA)


def _check(frame: Frame) -> None:
    """Raise InputError if the frame cannot be drawn on."""
    if not checked_frame(frame, empty=True).flags.writeable:
        raise InputError("the frame is read-only and cannot be drawn on; pass frame.copy()")


def _strokes(people: People, threshold: float, alpha: float) -> tuple[Bools, Floats, Floats]:
    """List what to paint: for each person first L limbs, then K keypoints, S = L + K strokes in all.

    Returns
    -------
    shown : (N, S) bool array
        Which of the strokes are to be painted.
    outlines : (N, S, P, 2) float32 array
        Each stroke's outline, a convex polygon.
    colors : (N, S, 4) float32 array
        Blue, green, red, opacity, 0 to 255; the three colours are already multiplied by the opacity.
    """
    skeleton = people.skeleton
    limbs = np.array(skeleton.drawn_limbs)  # (L, 2)
    drawn = np.isfinite(people.keypoints).all(axis=-1) & (people.keypoints[..., 2] > threshold)  # (N, K)
    joined = np.all(drawn[:, limbs], axis=-1)  # (N, L)
    xy = np.clip(np.where(drawn[..., None], people.keypoints[..., :2], 0), -FARTHEST, FARTHEST)
    scores = np.where(drawn, people.keypoints[..., 2], 0)

    half_widths, radii = _thickness(xy, drawn, joined, skeleton)
    start, end = xy[:, limbs].transpose(2, 0, 1, 3)[..., None, :]  # (N, L, 1, 2) each
    along = (end - start) / 2
    length = np.maximum(np.linalg.norm(along, axis=-1, keepdims=True), EPSILON)
    across = along[..., ::-1] * np.array([-1, 1], np.float32) / length * (half_widths - EDGE)[..., None, None]
    circle = _circle(points=4 * int(np.clip(2 * np.sqrt(radii.max()), 3, 24)))  # bigger circles get more points
    ellipses = (start + end) / 2 + along * circle[:, :1] + across * circle[:, 1:]
    discs = xy[:, :, None] + (radii - EDGE)[..., None, None] * circle

    certainty = np.concatenate([scores[:, limbs].min(axis=-1), scores], axis=1)[..., None]  # (N, S, 1)
    opacity = np.rint(255 * alpha * np.interp(certainty, [0, CERTAIN], [FAINTEST, 1]))
    ends = np.array(skeleton.colors)[limbs[:, 1]]
    own = np.concatenate([skeleton.limb_colors or ends, skeleton.colors])  # (S, 3)
    colors = np.concatenate([np.rint(own * opacity / 255), opacity], axis=-1).astype(np.float32)
    return np.concatenate([joined, drawn], axis=1), np.concatenate([ellipses, discs], axis=1), colors


def _thickness(xy: Floats, drawn: Bools, joined: Bools, skeleton: Skeleton) -> tuple[Floats, Floats]:
    """Half width of each limb (N, L) and radius of each keypoint (N, K), in pixels."""
    limbs = np.array(skeleton.drawn_limbs)
    low = np.where(drawn[..., None], xy, np.inf).min(axis=1)  # (N, 2)
    high = np.where(drawn[..., None], xy, -np.inf).max(axis=1)
    size = (high - low).max(axis=1, keepdims=True)  # (N, 1), minus infinity for nobody
    thinnest = np.where(size > 0, np.clip(THINNEST * size / THIN_FROM, HAIRLINE, THINNEST), THINNEST)
    thickest = np.maximum(size * HALF_WIDTHS.get(skeleton.name, BODY_HALF_WIDTH), thinnest)
    length = np.linalg.norm(xy[:, limbs[:, 1]] - xy[:, limbs[:, 0]], axis=-1)  # (N, L)
    half_widths = np.clip(length * SLIMNESS, thinnest, thickest)

    ended = (limbs == np.arange(xy.shape[1])[:, None, None]).any(axis=-1)  # (K, L): which limbs a keypoint ends
    widest = np.where(ended & joined[:, None], half_widths[:, None], 0).max(axis=-1)  # (N, K)
    radii = DISC * np.where(widest > 0, widest, thickest)
    return half_widths.astype(np.float32), radii.astype(np.float32)


@cache
def _circle(points: int) -> Floats:
    """(points, 2) points on the unit circle."""
    angles = np.linspace(0, 2 * np.pi, points, endpoint=False, dtype=np.float32)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _paint(frame: Frame, polygons: Ints, low: Ints, high: Ints, colors: Floats) -> None:
    """Paint a person's S strokes over each other, then blend the whole person into the frame.

    Parameters
    ----------
    frame : (H, W, 3) uint8 array
    polygons : (S, P, 2) int32 array
        Outlines in fixed-point coordinates.
    low, high : (S, 2) int arrays
        Corners x, y, in pixels, of the area that each stroke may change.
    colors : (S, 4) float32 array
    """
    if not len(polygons):
        return
    limit = np.array(frame.shape[1::-1])
    for corner, opposite in _tiles(np.maximum(low.min(axis=0), 0), np.minimum(high.max(axis=0), limit)):
        inside = np.flatnonzero(((low < opposite) & (high > corner)).all(axis=1))
        if not len(inside):
            continue
        width, height = opposite - corner + 2 * MARGIN
        canvas = np.zeros((height, width, 4), np.uint8)
        origin = ((corner - MARGIN) << SHIFT).astype(np.int32)
        for polygon, color in zip(polygons[inside] - origin, colors[inside].tolist(), strict=True):
            cv2.fillConvexPoly(canvas, polygon, color, cv2.LINE_AA, SHIFT)
        region = frame[corner[1] : opposite[1], corner[0] : opposite[0]]
        _blend(region, canvas[MARGIN:-MARGIN, MARGIN:-MARGIN])


def _tiles(low: Ints, high: Ints) -> Iterator[tuple[Ints, Ints]]:
    """Cut the rectangle from `low` to `high` (x, y) into tiles; yield the two corners of each."""
    for top in range(low[1], high[1], TILE):
        for left in range(low[0], high[0], TILE):
            corner = np.array([left, top])
            yield corner, np.minimum(corner + TILE, high)


def _blend(region: Frame, canvas: Frame) -> None:
    """Blend a canvas (h, w, 4), its colours multiplied by its opacity, into a region (h, w, 3) of the frame."""
    clear = cv2.cvtColor(255 - canvas[..., 3], cv2.COLOR_GRAY2BGR)
    background = cv2.multiply(region, clear, scale=1 / 255)
    region[:] = cv2.add(background, cv2.cvtColor(canvas, cv2.COLOR_BGRA2BGR))
