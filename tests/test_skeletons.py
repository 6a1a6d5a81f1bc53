"""The skeletons: facts that follow from what a skeleton is."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from posecv import skeletons
from posecv.skeletons import BODY_25, COCO, FACE, HAND, MPI, MPI_4_STAGES, SKELETONS, Skeleton, Thresholds

EVERY = pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=SKELETONS)
BODIES = pytest.mark.parametrize("skeleton", [COCO, MPI, MPI_4_STAGES, BODY_25], ids=lambda skeleton: skeleton.name)


def reached(limbs: tuple[tuple[int, int], ...], root: int) -> set[int]:
    """The keypoints that limbs join to a root, whichever way they point."""
    found = {root}
    while more := {a for limb in limbs for a, b in (limb, limb[::-1]) if b in found} - found:
        found |= more
    return found


@pytest.mark.parametrize(
    ("skeleton", "channels"), [(COCO, 57), (MPI, 44), (MPI_4_STAGES, 44), (BODY_25, 78), (HAND, 22), (FACE, 71)]
)
def test_the_channels_are_openposes(skeleton: Skeleton, channels: int) -> None:
    assert skeleton.channels == channels
    assert skeleton.heatmaps == len(skeleton.keypoints) + 1


@EVERY
def test_names_of_keypoints_are_all_different(skeleton: Skeleton) -> None:
    assert len(set(skeleton.keypoints)) == len(skeleton.keypoints)


@EVERY
def test_limbs_join_two_different_keypoints_once(skeleton: Skeleton) -> None:
    assert all(start != end for start, end in skeleton.limbs)
    assert {keypoint for limb in skeleton.limbs for keypoint in limb} <= set(range(len(skeleton.keypoints)))
    assert len({frozenset(limb) for limb in skeleton.limbs}) == len(skeleton.limbs)


@BODIES
def test_every_channel_of_the_fields_belongs_to_one_limb(skeleton: Skeleton) -> None:
    assert len(skeleton.paf_channels) == len(skeleton.limbs)
    channels = sorted(channel + axis for channel in skeleton.paf_channels for axis in (0, 1))
    assert channels == list(range(skeleton.heatmaps, skeleton.channels))


@pytest.mark.parametrize("skeleton", [*(s for s in SKELETONS.values() if s is not FACE)], ids=repr)
def test_every_keypoint_is_reached_by_drawn_limbs(skeleton: Skeleton) -> None:
    for limbs in (skeleton.limbs, skeleton.drawn_limbs):
        assert reached(limbs, 0) == set(range(len(skeleton.keypoints)))


@BODIES
def test_the_drawn_limbs_form_a_tree(skeleton: Skeleton) -> None:
    assert len(skeleton.drawn_limbs) == len(skeleton.keypoints) - 1
    ends = [end for _, end in skeleton.drawn_limbs]
    assert len(set(ends)) == len(ends)  # so that a limb's colour, its end's, is its own keypoint's


def test_a_face_is_chains_and_two_pupils() -> None:
    pupils = {FACE.keypoints.index("right_pupil"), FACE.keypoints.index("left_pupil")}
    assert {keypoint for limb in FACE.limbs for keypoint in limb} == set(range(70)) - pupils


@EVERY
def test_hidden_limbs_are_those_from_shoulder_to_ear(skeleton: Skeleton) -> None:
    def is_hidden(limb: tuple[int, int]) -> bool:
        start, end = (skeleton.keypoints[keypoint] for keypoint in limb)
        return start.endswith("shoulder") and end.endswith("ear")

    assert skeleton.hidden_limbs == {index for index, limb in enumerate(skeleton.limbs) if is_hidden(limb)}
    assert len(skeleton.drawn_limbs) == len(skeleton.limbs) - len(skeleton.hidden_limbs)


@pytest.mark.parametrize("skeleton", [COCO, BODY_25], ids=repr)
def test_heads_with_ears_have_a_hidden_limb_a_side(skeleton: Skeleton) -> None:
    assert len(skeleton.hidden_limbs) == 2


@EVERY
def test_colours_are_bytes_one_a_keypoint(skeleton: Skeleton) -> None:
    assert len(skeleton.colors) == len(skeleton.keypoints)
    assert all(len(color) == 3 and all(0 <= value <= 255 for value in color) for color in skeleton.colors)


def test_colours_are_blue_green_red() -> None:
    """OpenPose's right side is warm (yellow wrist), its left side cold (green wrist, blue knee)."""
    assert COCO.colors[COCO.keypoints.index("neck")] == (0, 0, 255)
    assert COCO.colors[COCO.keypoints.index("right_wrist")] == (0, 255, 255)
    assert COCO.colors[COCO.keypoints.index("left_knee")] == (255, 85, 0)


@pytest.mark.parametrize("skeleton", [BODY_25, MPI], ids=repr)
def test_arms_have_the_same_colours_in_all_bodies(skeleton: Skeleton) -> None:
    for keypoint, name in enumerate(COCO.keypoints[1:7], start=1):
        assert skeleton.colors[skeleton.keypoints.index(name)] == COCO.colors[keypoint]


@EVERY
def test_the_opposite_of_the_opposite_is_the_keypoint_itself(skeleton: Skeleton) -> None:
    assert [skeleton.mirrored[opposite] for opposite in skeleton.mirrored] == list(range(len(skeleton.keypoints)))


@BODIES
def test_left_and_right_are_opposites_and_the_rest_lies_on_the_axis(skeleton: Skeleton) -> None:
    for keypoint, opposite in enumerate(skeleton.mirrored):
        name, other = skeleton.keypoints[keypoint], skeleton.keypoints[opposite]
        if name.startswith(("left_", "right_")):
            assert {name.partition("_")[0], other.partition("_")[0]} == {"left", "right"}
            assert name.partition("_")[2] == other.partition("_")[2]
        else:
            assert opposite == keypoint


@BODIES
def test_a_mirrored_body_has_the_same_limbs(skeleton: Skeleton) -> None:
    mirrored = {(skeleton.mirrored[start], skeleton.mirrored[end]) for start, end in skeleton.limbs}
    assert mirrored == set(skeleton.limbs)


def test_feet_are_toes_and_heels_and_only_body_25_has_them() -> None:
    feet = {index for index, name in enumerate(BODY_25.keypoints) if name.endswith(("toe", "heel"))}
    assert BODY_25.feet == feet
    assert all(not skeleton.feet for skeleton in SKELETONS.values() if skeleton is not BODY_25)


def test_mpis_two_networks_differ_in_their_peak_threshold_alone() -> None:
    assert MPI.limbs == MPI_4_STAGES.limbs
    six, four = vars(MPI.thresholds), vars(MPI_4_STAGES.thresholds)
    assert {name for name in six if six[name] != four[name]} == {"nms_threshold"}


def test_skeletons_are_found_by_their_names() -> None:
    assert all(SKELETONS[skeleton.name] is skeleton for skeleton in SKELETONS.values())
    assert {name.upper() for name in SKELETONS} <= set(skeletons.__all__)


def test_a_skeleton_is_a_value_that_stays_as_it_is() -> None:
    with pytest.raises(FrozenInstanceError):
        COCO.name = "other"  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        Thresholds().nms_threshold = 1  # type: ignore[misc]
    assert len({COCO, MPI, COCO}) == 2


def test_a_skeleton_says_what_it_is() -> None:
    assert repr(COCO) == "<Skeleton coco: 18 keypoints, 19 limbs>"
