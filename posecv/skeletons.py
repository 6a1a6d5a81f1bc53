"""The keypoint layouts of OpenPose's networks, and the constants for decoding each.

A `Skeleton` describes the channels of a network's maps: one heatmap per keypoint, one for the background, then one part
affinity field (PAF, an x and a y channel) per limb. Sources: Cao et al., CVPR 2017 (COCO, MPI), and the tables of
OpenPose 1.7 (BODY_25, hand, face, colours, thresholds).

>>> COCO.keypoints[4], COCO.channels
('right_wrist', 57)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from posecv.checks import check_number
from posecv.errors import UsageError

__all__ = [
    "BODY_25",
    "COCO",
    "COCO_17",
    "CONTROLNET",
    "FACE",
    "HAND",
    "MPI",
    "MPI_4_STAGES",
    "REFINEMENTS",
    "SKELETONS",
    "Skeleton",
    "Thresholds",
    "checked_skeleton",
    "maximized",
]

Color = tuple[int, int, int]

REFINEMENTS = ("centroid", "parabola")


@dataclass(frozen=True)
class Thresholds:
    """The constants of decoding, under OpenPose's names.

    Attributes
    ----------
    nms_threshold : float
        A maximum of a heatmap is a peak if it exceeds this.
    inter_threshold : float
        A sample of a PAF agrees with a limb if its component along the limb exceeds this.
    inter_min_above : float
        Two peaks can be connected if more than this share of the samples between them agrees.
    min_subset_cnt : int
        Minimum number of keypoints of a person.
    min_subset_score : float
        Minimum score of a person divided by the number of keypoints.
    peak_share : float
        Weight of the two peaks' scores, beside the PAF's, when connections are ranked; OpenPose has no name for it.
    refinement : str
        How a peak is located between the pixels: at the "centroid" of its surroundings, as in OpenPose, or at the
        vertex of the "parabola" through it, which moves more smoothly.
    """

    nms_threshold: float = 0.05
    inter_threshold: float = 0.05
    inter_min_above: float = 0.95
    min_subset_cnt: int = 3
    min_subset_score: float = 0.4
    peak_share: float = 0.1
    refinement: str = "centroid"

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if name != "refinement":
                check_number(name, value)


def maximized(limits: Thresholds) -> dict[str, float]:
    """The constants that OpenPose's `maximize_positives` lowers: more detections, more false positives.

    >>> maximized(COCO.thresholds)["nms_threshold"], "nms_threshold" in maximized(MPI.thresholds)
    (0.02, False)
    """
    lower = {"inter_threshold": 0.01, "inter_min_above": 0.75, "min_subset_cnt": 2, "min_subset_score": 0.05}
    if limits.nms_threshold < MPI_4_STAGES.thresholds.nms_threshold:  # MPI's networks keep their own
        lower["nms_threshold"] = 0.02
    return {name: min(value, getattr(limits, name)) for name, value in lower.items()}


@dataclass(frozen=True)
class Skeleton:
    """What the channels of a network's maps mean, and how to draw the skeleton.

    Attributes
    ----------
    name : str
        Lower case, as on the command line.
    keypoints : tuple of str
        Names of the heatmaps; left and right are the person's own.
    limbs : tuple of (int, int)
        Keypoint indices start, end of each limb; the PAF points from start to end.
    paf_channels : tuple of int
        Channel of each limb's x component in the maps; y is the next one. Empty without PAFs.
    colors : tuple of (int, int, int)
        Blue, green, red of each keypoint; a limb has the colour of its end keypoint, unless `limb_colors` has another.
    hidden_limbs : frozenset of int
        Limbs that are used for grouping but not drawn (ear to shoulder).
    feet : frozenset of int
        Keypoints that do not count towards `min_subset_cnt` (OpenPose's foot rule, BODY_25).
    thresholds : Thresholds
        OpenPose's values for this layout.
    limb_colors : tuple of (int, int, int)
        Blue, green, red of each limb, if they have colours of their own.
    """

    name: str
    keypoints: tuple[str, ...]
    limbs: tuple[tuple[int, int], ...]
    paf_channels: tuple[int, ...]
    colors: tuple[Color, ...]
    hidden_limbs: frozenset[int] = frozenset()
    feet: frozenset[int] = frozenset()
    thresholds: Thresholds = Thresholds()
    limb_colors: tuple[Color, ...] = ()

    def __repr__(self) -> str:
        return f"<Skeleton {self.name}: {len(self.keypoints)} keypoints, {len(self.limbs)} limbs>"

    @property
    def heatmaps(self) -> int:
        """Number of heatmaps, including the background, which is the last."""
        return len(self.keypoints) + 1

    @property
    def channels(self) -> int:
        """Number of channels of the maps: heatmaps and fields."""
        return self.heatmaps + 2 * len(self.paf_channels)

    @cached_property
    def drawn_limbs(self) -> tuple[tuple[int, int], ...]:
        """The limbs without the hidden ones."""
        return tuple(limb for index, limb in enumerate(self.limbs) if index not in self.hidden_limbs)

    @cached_property
    def mirrored(self) -> tuple[int, ...]:
        """For each keypoint, the index of the same keypoint on the other side, or of itself in the middle."""
        swap = {"left": "right", "right": "left"}
        names = ["_".join(swap.get(word, word) for word in name.split("_")) for name in self.keypoints]
        return tuple(self.keypoints.index(name) if name in self.keypoints else at for at, name in enumerate(names))


def checked_skeleton(skeleton: object) -> Skeleton:
    """Return the skeleton; UsageError if it is something else."""
    if not isinstance(skeleton, Skeleton):
        raise UsageError(f"skeleton={skeleton!r} is not a Skeleton; give one such as posecv.skeletons.COCO")
    return skeleton


def _bgr(*rgb: int) -> Color:
    """Convert 0xRRGGBB, given as three numbers, to blue, green, red."""
    red, green, blue = rgb
    return blue, green, red


_ARMS = (
    "nose", "neck",
    "right_shoulder", "right_elbow", "right_wrist",
    "left_shoulder", "left_elbow", "left_wrist",
)  # fmt: skip
_LEGS = ("right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle")
_FACE = ("right_eye", "left_eye", "right_ear", "left_ear")

# OpenPose's colour wheel: red, yellow, green, cyan, blue, magenta.
_WHEEL = (
    _bgr(255, 0, 85), _bgr(255, 0, 0), _bgr(255, 85, 0), _bgr(255, 170, 0), _bgr(255, 255, 0), _bgr(170, 255, 0),
    _bgr(85, 255, 0), _bgr(0, 255, 0), _bgr(0, 255, 85), _bgr(0, 255, 170), _bgr(0, 255, 255), _bgr(0, 170, 255),
    _bgr(0, 85, 255), _bgr(0, 0, 255), _bgr(255, 0, 170), _bgr(170, 0, 255), _bgr(255, 0, 255), _bgr(85, 0, 255),
)  # fmt: skip

COCO = Skeleton(
    name="coco",
    keypoints=_ARMS + _LEGS + _FACE,
    limbs=(
        (1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11), (11, 12), (12, 13),
        (1, 0), (0, 14), (14, 16), (0, 15), (15, 17), (2, 16), (5, 17),
    ),
    paf_channels=(31, 39, 33, 35, 41, 43, 19, 21, 23, 25, 27, 29, 47, 49, 53, 51, 55, 37, 45),
    colors=_WHEEL,
    hidden_limbs=frozenset({17, 18}),
)  # fmt: skip

# The keypoints of COCO's annotations and results, in their order.
COCO_17 = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle",
)  # fmt: skip

MPI = Skeleton(
    name="mpi",
    keypoints=("head", *_ARMS[1:], *_LEGS, "chest"),
    limbs=(
        (0, 1), (1, 2), (2, 3), (3, 4), (1, 5), (5, 6), (6, 7), (1, 14), (14, 8), (8, 9), (9, 10), (14, 11),
        (11, 12), (12, 13),
    ),
    paf_channels=tuple(range(16, 44, 2)),
    colors=(*_WHEEL[:7], _bgr(43, 255, 0), _WHEEL[7], *_WHEEL[8:14]),
    thresholds=Thresholds(nms_threshold=0.6, inter_threshold=0.01),
)  # fmt: skip

MPI_4_STAGES = replace(MPI, name="mpi_4_stages", thresholds=replace(MPI.thresholds, nms_threshold=0.3))

BODY_25 = Skeleton(
    name="body_25",
    keypoints=(
        *_ARMS, "mid_hip", *_LEGS, *_FACE,
        "left_big_toe", "left_small_toe", "left_heel", "right_big_toe", "right_small_toe", "right_heel",
    ),
    limbs=(
        (1, 8), (1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (8, 9), (9, 10), (10, 11), (8, 12), (12, 13),
        (13, 14), (1, 0), (0, 15), (15, 17), (0, 16), (16, 18), (2, 17), (5, 18), (14, 19), (19, 20), (14, 21),
        (11, 22), (22, 23), (11, 24),
    ),
    paf_channels=(
        26, 40, 48, 42, 44, 50, 52, 32, 28, 30, 34, 36, 38, 56, 58, 62, 60, 64, 46, 54, 66, 68, 70, 72, 74, 76,
    ),
    colors=(*_WHEEL[:8], _bgr(255, 0, 0), *_WHEEL[8:], *[_bgr(0, 0, 255)] * 3, *[_bgr(0, 255, 255)] * 3),
    hidden_limbs=frozenset({18, 19}),
    feet=frozenset(range(19, 25)),
)  # fmt: skip

# How pytorch-openpose, and ControlNet's pose images after it, draw COCO's 18 keypoints: a rainbow, darker along limbs.
_RAINBOW = (
    _bgr(255, 0, 0), _bgr(255, 85, 0), _bgr(255, 170, 0), _bgr(255, 255, 0), _bgr(170, 255, 0), _bgr(85, 255, 0),
    _bgr(0, 255, 0), _bgr(0, 255, 85), _bgr(0, 255, 170), _bgr(0, 255, 255), _bgr(0, 170, 255), _bgr(0, 85, 255),
    _bgr(0, 0, 255), _bgr(85, 0, 255), _bgr(170, 0, 255), _bgr(255, 0, 255), _bgr(255, 0, 170), _bgr(255, 0, 85),
)  # fmt: skip
CONTROLNET = Skeleton(
    name="controlnet",
    keypoints=COCO.keypoints,
    limbs=(
        (1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11), (11, 12), (12, 13), (1, 0),
        (0, 14), (14, 16), (0, 15), (15, 17),
    ),
    paf_channels=(),
    colors=_RAINBOW,
    limb_colors=tuple((int(0.6 * b), int(0.6 * g), int(0.6 * r)) for b, g, r in _RAINBOW[:17]),
)  # fmt: skip

_FINGERS = ("thumb", "index", "middle", "ring", "little")

HAND = Skeleton(
    name="hand",
    keypoints=("wrist", *(f"{finger}_{bone}" for finger in _FINGERS for bone in range(1, 5))),
    limbs=tuple((tip - 1 if tip % 4 != 1 else 0, tip) for tip in range(1, 21)),
    paf_channels=(),
    colors=(
        _bgr(100, 100, 100),
        _bgr(100, 0, 0), _bgr(150, 0, 0), _bgr(200, 0, 0), _bgr(255, 0, 0),
        _bgr(100, 100, 0), _bgr(150, 150, 0), _bgr(200, 200, 0), _bgr(255, 255, 0),
        _bgr(0, 100, 50), _bgr(0, 150, 75), _bgr(0, 200, 100), _bgr(0, 255, 125),
        _bgr(0, 50, 100), _bgr(0, 75, 150), _bgr(0, 100, 200), _bgr(0, 125, 255),
        _bgr(100, 0, 100), _bgr(150, 0, 150), _bgr(200, 0, 200), _bgr(255, 0, 255),
    ),
)  # fmt: skip


def _chain(first: int, last: int, closed: bool = False) -> tuple[tuple[int, int], ...]:
    """Limbs from each keypoint to the next, and back to the first if the chain is closed."""
    limbs = tuple((index, index + 1) for index in range(first, last))
    return (*limbs, (last, first)) if closed else limbs


FACE = Skeleton(
    name="face",
    keypoints=(
        *(f"contour_{index}" for index in range(17)),
        *(f"right_brow_{index}" for index in range(5)),
        *(f"left_brow_{index}" for index in range(5)),
        *(f"nose_{index}" for index in range(9)),
        *(f"right_eye_{index}" for index in range(6)),
        *(f"left_eye_{index}" for index in range(6)),
        *(f"outer_lip_{index}" for index in range(12)),
        *(f"inner_lip_{index}" for index in range(8)),
        "right_pupil",
        "left_pupil",
    ),
    limbs=(
        *_chain(0, 16), *_chain(17, 21), *_chain(22, 26), *_chain(27, 30), *_chain(31, 35),
        *_chain(36, 41, closed=True), *_chain(42, 47, closed=True),
        *_chain(48, 59, closed=True), *_chain(60, 67, closed=True),
    ),
    paf_channels=(),
    colors=((255, 255, 255),) * 70,
)  # fmt: skip

SKELETONS: dict[str, Skeleton] = {each.name: each for each in (COCO, MPI, MPI_4_STAGES, BODY_25, HAND, FACE)}
