"""Drawing: expectations follow from geometry and from the formula of alpha blending."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from figures import people_at
from networks import black
from posecv.arrays import Frame
from posecv.drawing import skeletons as drawing
from posecv.drawing.room import Room
from posecv.drawing.skeletons import ALPHA, draw_labels, draw_people, draw_rate
from posecv.drawing.style import Style
from posecv.errors import InputError, UsageError
from posecv.people import People
from posecv.result import Result
from posecv.skeletons import COCO, FACE, HAND, MPI, SKELETONS, Skeleton

GREY = (90, 100, 110)
# Half a level for the colour, the background and the opacity each, when they become bytes.
ROUNDING = 1.5


def plain(width: int = 200, height: int = 160) -> Frame:
    return np.full((height, width, 3), GREY, np.uint8)


def somebody(skeleton: Skeleton, left: float, top: float, side: float) -> People:
    """One person, all keypoints found, spread over a square."""
    spread = np.random.default_rng(len(skeleton.keypoints)).uniform(0, side, (len(skeleton.keypoints), 2))
    spread[0], spread[1] = (0, 0), (side, side)
    return people_at({index: (left + x, top + y) for index, (x, y) in enumerate(spread)}, skeleton=skeleton)


def blend(color: tuple[int, ...], background: tuple[int, ...], alpha: float) -> NDArray[np.float64]:
    return alpha * np.array(color, float) + (1 - alpha) * np.array(background, float)


def changed(frame: Frame) -> NDArray[np.bool_]:
    different: NDArray[np.bool_] = np.any(frame != np.array(GREY, np.uint8), axis=2)
    return different


def covered(line: NDArray[np.uint8]) -> float:
    """How many pixels of a line (L, 3) are covered, parts of pixels at smooth edges included."""
    difference = np.abs(line.astype(float) - GREY).sum(axis=1)
    return float(difference.sum() / difference.max())


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=SKELETONS)
@pytest.mark.parametrize("alpha", [0.3, ALPHA, 1.0])
def test_the_middle_of_a_limb_is_blended_with_the_colour_of_its_end(skeleton: Skeleton, alpha: float) -> None:
    for start, end in skeleton.drawn_limbs:
        frame = draw_people(plain(), people_at({start: (40, 30), end: (160, 110)}, skeleton=skeleton), alpha=alpha)
        np.testing.assert_allclose(frame[70, 100], blend(skeleton.colors[end], GREY, alpha), atol=ROUNDING)


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=SKELETONS)
def test_a_keypoint_is_a_disc_of_its_own_colour(skeleton: Skeleton) -> None:
    for index, color in enumerate(skeleton.colors):
        frame = draw_people(plain(), people_at({index: (100, 70)}, skeleton=skeleton))
        np.testing.assert_allclose(frame[70, 100], blend(color, GREY, ALPHA), atol=ROUNDING)


def test_hands_and_faces_are_drawn_with_the_people_they_belong_to() -> None:
    frame = black(300, 200)
    hands = np.zeros((1, 2, 21, 3), np.float32)
    hands[0, 1, :, 0], hands[0, 1, :, 1], hands[0, 1, :, 2] = 100 + 5 * np.arange(21), 80, 0.9
    faces = np.zeros((1, 70, 3), np.float32)
    faces[0, :, 0], faces[0, :, 1], faces[0, :, 2] = 20 + np.arange(70), 150, 0.9
    people = People(np.zeros((1, 18, 3), np.float32), np.ones(1, np.float32), COCO, hands, faces)
    expected = frame.copy()
    draw_people(expected, People(hands[0, 1:], np.ones(1, np.float32), HAND))
    draw_people(expected, People(faces, np.ones(1, np.float32), FACE))
    assert expected[75:85, 100:200].any()
    np.testing.assert_array_equal(draw_people(frame, people), expected)
    hands[..., 2] = faces[..., 2] = 0.19
    assert not draw_people(np.zeros_like(frame), people).any()


def test_a_hidden_limb_is_not_drawn() -> None:
    hidden = [COCO.limbs[index] for index in COCO.hidden_limbs]
    assert hidden
    for start, end in hidden:
        frame = draw_people(plain(), people_at({start: (40, 70), end: (160, 70)}))
        assert changed(frame)[:, :60].any()
        assert changed(frame)[:, 140:].any()
        assert not changed(frame)[:, 60:140].any()


def test_keypoints_that_no_limb_joins_stay_apart() -> None:
    wrists = COCO.keypoints.index("right_wrist"), COCO.keypoints.index("left_wrist")
    frame = draw_people(plain(), people_at({wrists[0]: (40, 70), wrists[1]: (160, 70)}))
    assert not changed(frame)[:, 60:140].any()


def test_a_keypoint_at_the_threshold_is_not_drawn() -> None:
    somebody_faint = people_at({2: (40, 70, 0.25), 3: (160, 70, 0.25)})
    assert not changed(draw_people(plain(), somebody_faint, threshold=0.25)).any()
    assert changed(draw_people(plain(), somebody_faint, threshold=0.24)).any()


def test_a_limb_needs_both_ends_above_the_threshold() -> None:
    frame = draw_people(plain(), people_at({2: (40, 70, 0.9), 3: (160, 70, 0.2)}), threshold=0.2)
    assert changed(frame)[:, :60].any()
    assert not changed(frame)[:, 60:].any()


@pytest.mark.parametrize("threshold", [-1.0, 0.0])
def test_missing_keypoints_are_never_drawn(threshold: float) -> None:
    assert not changed(draw_people(plain(), people_at({}), threshold=threshold)).any()


def test_nothing_is_drawn_beyond_a_persons_surroundings() -> None:
    for skeleton in (COCO, MPI, HAND, FACE):
        person = somebody(skeleton, 50, 40, 80)
        y, x = np.nonzero(changed(draw_people(plain(), person)))
        share = drawing.HALF_WIDTHS.get(skeleton.name, drawing.BODY_HALF_WIDTH)
        margin = drawing.DISC * max(80 * share, drawing.THINNEST) + 2
        assert x.min() >= 50 - margin
        assert y.min() >= 40 - margin
        assert x.max() <= 130 + margin
        assert y.max() <= 120 + margin


@pytest.mark.parametrize("length", [100, 200, 400, 800])
@pytest.mark.parametrize("shift", [0.0, 0.3, 0.5])
def test_a_limb_is_as_thick_as_its_share_of_the_person(length: int, shift: float) -> None:
    frame = draw_people(plain(1000, 200), people_at({2: (100, 100 + shift), 3: (100 + length, 100 + shift)}))
    middle = 100 + length // 2
    expected = 2 * max(length * drawing.BODY_HALF_WIDTH, drawing.THINNEST)
    assert covered(frame[:, middle]) == pytest.approx(expected, abs=0.75)


@pytest.mark.parametrize("length", [100, 200, 400, 800])
def test_a_keypoint_is_a_little_wider_than_its_limb(length: int) -> None:
    frame = draw_people(plain(1000, 200), people_at({2: (100, 100), 3: (100 + length, 100)}))
    radius = drawing.DISC * max(length * drawing.BODY_HALF_WIDTH, drawing.THINNEST)
    assert covered(frame[:, 100]) == pytest.approx(2 * radius, abs=0.75)


def test_short_limbs_are_slim() -> None:
    """The face of a big person: from nose to eye it is a small part of the whole."""
    points = {0: (100, 100), 14: (130, 100), 1: (100, 900)}
    frame = draw_people(plain(300, 1000), people_at(points, skeleton=replace(COCO, hidden_limbs=frozenset({12}))))
    assert covered(frame[:500, 115]) == pytest.approx(2 * 30 * drawing.SLIMNESS, abs=0.75)


def test_the_same_person_is_as_thick_on_a_larger_frame() -> None:
    person = somebody(COCO, 50, 40, 80)
    np.testing.assert_array_equal(draw_people(plain(), person), draw_people(plain(400, 300), person)[:160, :200])


def test_a_hands_limbs_are_thicker_than_a_bodys_and_a_faces_are_thinner() -> None:
    areas = []
    for skeleton in (HAND, COCO, FACE):
        start, end = skeleton.drawn_limbs[0]
        frame = draw_people(plain(1000, 200), people_at({start: (100, 100), end: (900, 100)}, skeleton=skeleton))
        areas.append(int(changed(frame).sum()))
    assert areas == sorted(areas, reverse=True)


def test_a_lower_score_is_fainter() -> None:
    levels = []
    for score in (0.05, 0.2, 0.35, 0.5):
        frame = draw_people(plain(), people_at({2: (40, 30, 0.9), 3: (160, 110, score)}))
        levels.append(np.abs(frame[70, 100].astype(float) - GREY).sum())
    assert levels == sorted(set(levels))
    assert levels[0] > 0


def test_crossing_limbs_of_a_person_do_not_mix_into_a_third_colour() -> None:
    frame = draw_people(plain(), people_at({2: (40, 30), 3: (160, 110), 5: (160, 30), 6: (40, 110)}))
    np.testing.assert_allclose(frame[70, 100], blend(COCO.colors[6], GREY, ALPHA), atol=ROUNDING)


def test_the_best_person_lies_on_top() -> None:
    frame = draw_people(plain(), people_at({2: (40, 30), 3: (160, 110)}, {5: (160, 30), 6: (40, 110)}))
    below = blend(COCO.colors[6], GREY, ALPHA)
    np.testing.assert_allclose(frame[70, 100], blend(COCO.colors[3], tuple(below), ALPHA), atol=2 * ROUNDING)


def test_edges_are_smooth_and_follow_parts_of_a_pixel() -> None:
    centres = []
    for shift in (0.0, 0.25, 0.5, 0.75, 1.0):
        frame = draw_people(plain(), people_at({2: (40, 70 + shift), 3: (160, 70 + shift)}))
        column = np.abs(frame[:, 100].astype(float) - GREY).sum(axis=1)
        centres.append(np.average(np.arange(len(column)), weights=column))
    np.testing.assert_allclose(centres, [70, 70.25, 70.5, 70.75, 71], atol=0.15)


def test_the_frame_itself_is_drawn_on_and_returned() -> None:
    frame = plain()
    person = somebody(COCO, 50, 40, 80)
    before = person.keypoints.copy()
    assert draw_people(frame, person) is frame
    assert changed(frame).any()
    np.testing.assert_array_equal(person.keypoints, before)


def test_alpha_zero_and_nobody_leave_the_frame_as_it_was() -> None:
    assert not changed(draw_people(plain(), somebody(COCO, 50, 40, 80), alpha=0)).any()
    assert not changed(draw_people(plain(), People.empty(COCO))).any()


@pytest.mark.parametrize(
    ("alpha", "words"), [(-0.1, "between 0"), (1.1, "between 0"), (float("nan"), "^alpha=nan is not a number")]
)
def test_alpha_is_a_share(alpha: float, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        draw_people(plain(), People.empty(COCO), alpha=alpha)


@pytest.mark.parametrize(
    "frame",
    [
        np.zeros((40, 60), np.uint8),
        np.zeros((40, 60, 1), np.uint8),
        np.zeros((40, 60, 4), np.uint8),
        np.zeros((40, 60, 3), np.float32),
        np.zeros((40, 60, 3), np.uint16),
        [[[0, 0, 0]]],
        None,
    ],
    ids=["grey", "one channel", "four channels", "float", "16 bit", "list", "nothing"],
)
def test_what_is_no_frame_is_refused(frame: Frame) -> None:
    with pytest.raises(InputError, match=r"a frame must be (a \(height, width, 3\) uint8 BGR array|an array), not "):
        draw_people(frame, People.empty(COCO))


def test_a_read_only_frame_is_refused() -> None:
    frame = plain()
    frame.flags.writeable = False
    with pytest.raises(InputError, match="copy"):
        draw_people(frame, somebody(COCO, 50, 40, 80))


@pytest.mark.parametrize("nonsense", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_keypoint_that_is_not_finite_counts_as_missing(nonsense: float, part: int) -> None:
    whole = people_at({2: (40, 70), 3: (160, 70), 4: (160, 140)})
    whole.keypoints[0, 4, part] = nonsense
    missing = people_at({2: (40, 70), 3: (160, 70)})
    np.testing.assert_array_equal(draw_people(plain(), whole), draw_people(plain(), missing))


def test_a_person_partly_outside_is_cut_by_the_border() -> None:
    for x, y in [(-40, 30), (140, 30), (60, -50), (60, 120), (-30, -30)]:
        inside = draw_people(plain(600, 560), somebody(COCO, 200 + x, 200 + y, 80))
        cut = draw_people(plain(), somebody(COCO, x, y, 80)).astype(int)
        assert np.abs(cut - inside[200:360, 200:400]).max() <= 8  # OpenCV clips its smooth lines to a part of a pixel


@pytest.mark.parametrize("far", [300.0, 1e5, 1e20, -1e20])
def test_a_person_wholly_outside_leaves_the_frame_as_it_was(far: float) -> None:
    assert not changed(draw_people(plain(), people_at({2: (far, far), 3: (far + 50, far)}))).any()


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 50), (50, 1), (0, 10), (3, 2)])
def test_tiny_frames_can_be_drawn_on(height: int, width: int) -> None:
    for skeleton in SKELETONS.values():
        frame = draw_people(plain(width, height), somebody(skeleton, -5, -5, 10))
        assert frame.shape == (height, width, 3)


def test_views_are_drawn_on_in_place() -> None:
    person = somebody(COCO, 50, 40, 80)
    expected = draw_people(plain(), person)
    mirrored = np.ascontiguousarray(plain()[:, ::-1])
    draw_people(mirrored[:, ::-1], person)
    np.testing.assert_array_equal(mirrored[:, ::-1], expected)
    twice = np.repeat(np.repeat(plain(), 2, axis=0), 2, axis=1)
    draw_people(twice[::2, ::2], person)
    np.testing.assert_array_equal(twice[::2, ::2], expected)
    assert not changed(twice[1::2]).any()


def test_tiles_leave_no_seams() -> None:
    """Tiles begin where what is seen of a person begins: on a part of the frame they meet elsewhere."""
    for skeleton in (COCO, HAND, FACE):
        person = somebody(skeleton, 40, 30, 1.4 * drawing.TILE)
        whole = draw_people(plain(900, 900), person).astype(int)
        left, top = 150, 210
        moved = replace(person, keypoints=person.keypoints - np.array([left, top, 0], np.float32))
        part = draw_people(plain(900 - left, 900 - top), moved)
        assert changed(part).any()
        assert np.abs(whole[top:, left:] - part).max() <= 8


def test_a_person_on_a_huge_frame_needs_little_memory() -> None:
    frame = plain(4000, 3000)
    person = somebody(COCO, 200, 200, 2600)
    tracemalloc.start()
    draw_people(frame, person)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < frame.nbytes / 4


# --- words ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(160, 120), (640, 480), (3840, 2160)])
@pytest.mark.parametrize("level", [0, 90, 255])
def test_a_label_is_read_beside_its_keypoint_on_any_ground_and_at_any_size(size: tuple[int, int], level: int) -> None:
    """Light letters with a dark edge, of 8 pixels or more and a share of the picture, right of the keypoint."""
    frame = np.full((size[1], size[0], 3), level, np.uint8)
    x, y = size[0] / 3, size[1] / 2
    draw_labels(frame, people_at({4: (x, y)}), labels="index")
    rows, columns = np.nonzero((frame != level).any(axis=2))
    letters = max(8, min(size) / 55)
    assert letters * 0.8 <= np.ptp(rows) + 1 <= letters * 1.8
    assert x <= columns.min() <= columns.max() <= x + 2.5 * letters
    assert abs(rows.mean() - y) <= letters
    box = frame[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    assert int(box.max()) - int(box.min()) > 150


def test_names_are_longer_than_indices_and_none_is_nothing() -> None:
    somebody_there = people_at({4: (20, 80)})
    index, name = (draw_labels(plain(), somebody_there, labels=labels) for labels in ("index", "name"))
    assert np.ptp(np.nonzero(changed(name))[1]) > 4 * np.ptp(np.nonzero(changed(index))[1])
    assert not changed(draw_labels(plain(), somebody_there, labels="none")).any()


@pytest.mark.parametrize("place", [(0, 0), (199, 0), (0, 159), (199, 159), (-50, -50), (500, 80)])
def test_a_label_stays_inside_the_frame(place: tuple[float, float]) -> None:
    """As much of it is seen as of one in the middle."""
    middle = changed(draw_labels(plain(), people_at({4: (100, 80)}), labels="name")).sum()
    assert changed(draw_labels(plain(), people_at({4: place}), labels="name")).sum() == pytest.approx(middle, rel=0.1)


def test_labels_of_a_crowd_do_not_cover_each_other() -> None:
    room = Room((480, 320), [(240, 160)] * 12, 8)
    corners = [room.take((240.0, 160.0), (70, 10))[0] for _ in range(12)]
    for index, (x, y) in enumerate(corners):
        for other_x, other_y in corners[:index]:
            assert abs(x - other_x) >= 70 or abs(y - other_y) >= 10
        assert 0 <= x <= 410
        assert 10 <= y <= 320


def test_a_label_far_from_its_keypoint_has_a_line_that_begins_there() -> None:
    room = Room((480, 320), [(240, 160)], 8)
    lines = [room.take((240.0, 160.0), (70, 10))[1] for _ in range(20)]
    assert lines[0] is None
    assert lines[-1] is not None
    assert lines[-1][0] == (240, 160)


def test_where_no_room_is_left_a_label_is_written_all_the_same() -> None:
    room = Room((80, 20), [], 8)
    for _ in range(9):
        (x, y), _line = room.take((40.0, 10.0), (70, 10))
        assert 0 <= x <= 10
        assert 10 <= y <= 20


def test_what_is_not_drawn_is_not_labelled() -> None:
    hidden = people_at({4: (50, 50, 0.2), 5: (np.nan, 50), 6: (50, 80, 0.0)})
    assert not changed(draw_labels(plain(), hidden, labels="index", threshold=0.2)).any()


@pytest.mark.parametrize("size", [(64, 48), (640, 480), (1920, 1080)])
def test_the_rate_stands_in_the_upper_left_corner(size: tuple[int, int]) -> None:
    rows, columns = np.nonzero(changed(draw_rate(plain(*size), 24.5)))
    letters = max(12, min(size) / 55 * 1.5)
    assert rows.max() <= 2 * letters
    assert columns.min() <= letters
    assert columns.max() <= 14 * letters


def test_small_people_and_hands_have_thinner_lines_that_leave_gaps() -> None:
    """The dots and lines of a hand of 24 pixels cover less of its box than half."""
    rng = np.random.default_rng(0)
    keypoints = np.ones((1, 21, 3), np.float32)
    spread = np.array([(x, y) for y in range(5) for x in range(5)], np.float32)[rng.permutation(25)[:21]]
    shares = []
    for side in (24, 240):
        keypoints[0, :, :2] = 20 + spread / 4 * side
        frame = np.zeros((300, 300, 3), np.uint8)
        drawing.draw_people(frame, People(keypoints, np.ones(1, np.float32), HAND), limbs=False)
        shares.append(np.count_nonzero(frame.max(axis=2) > 60) / side**2)
    assert shares[0] < 0.5
    assert shares[1] < shares[0]


def test_controlnet_s_colours_are_a_rainbow_opaque_on_black_and_darker_along_limbs() -> None:
    keypoints = np.zeros((1, 18, 3), np.float32)
    shoulder, elbow = COCO.keypoints.index("right_shoulder"), COCO.keypoints.index("right_elbow")
    keypoints[0, shoulder], keypoints[0, elbow] = (60, 50, 0.3), (160, 50, 0.9)
    people = People(keypoints, np.ones(1, np.float32), COCO)
    style = Style(render="blank", colors="controlnet")
    drawn = style.drawn(Result(people, np.full((100, 220, 3), 90, np.uint8)))
    assert drawn[50, 60].tolist() == [0, 170, 255]   # the third colour, 255, 170, 0 as red, green, blue
    assert drawn[50, 160].tolist() == [0, 255, 255]  # the fourth
    assert drawn[50, 110].tolist() == [0, 102, 153]  # the limb from shoulder to elbow is the third, at 0.6
    assert drawn[10, 10].tolist() == [0, 0, 0]
