"""The training recipes of our networks."""

from __future__ import annotations

from dataclasses import replace

from posecv.skeletons import FACE, Skeleton
from training.batches import Recipe
from training.boxes import BoxRecipe
from training.persons import PersonRecipe

# light_body has the same AP on the images that it learnt from as on others: it is too small to forget, and what it
# learns is better spent on photographs as people take them than on turned and spoilt ones, at the height that they are
# looked at. Mosaics make up for small people: with three crops in ten a fifth of the people is below 64 pixels and a
# sixth from there to 96, as in COCO's photographs at that height; without them a fourteenth and a ninth.
_BODY = Recipe(
    size=368,
    least=0.17,
    most=1.2,
    turn=10,
    most_turn=30,
    mosaics=0.3,
    disturbance=0.5,
    weights=(("coco", 6.0), ("lspet", 0.5), ("yoga5", 0.5), ("yoga8", 0.5), ("har15", 0.7)),
)
_CROP = Recipe(size=192, least=0.4, most=0.9, zoom=4, cover=0.5, shift=0.12, turn=35, most_turn=100, mosaics=0)

RECIPES: dict[str, Recipe | PersonRecipe | BoxRecipe] = {
    "light_body": _BODY,
    "light_body_large": _BODY,
    "light_hand": replace(
        _CROP,
        least=0.35,
        most=1.1,
        gloves=0.12,
        other_side=0.2,
        weights=(("iflytek-hand-keypoint", 0.4), ("coco-wholebody-manual", 3.0), ("coco-wholebody-auto", 2.0)),
    ),
    "light_face": _CROP,
    "light_pose": PersonRecipe(sigma=1.5, weights=(("lspet", 0.7), ("yoga5", 0.5), ("yoga8", 0.5), ("har15", 0.7))),
    "light_detect": BoxRecipe(
        weights=(("coco", 2.0), ("lspet", 0.2), ("yoga5", 0.3), ("yoga8", 0.3), ("har15", 0.5)),
    ),
}

# Points of the face that change places in a mirror, first and last of ranges that run towards each other.
_FACE_PAIRS = (
    *zip(range(8), range(16, 8, -1), strict=True), *zip(range(17, 22), range(26, 21, -1), strict=True),
    (31, 35), (32, 34), (36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46),
    (48, 54), (49, 53), (50, 52), (55, 59), (56, 58), (60, 64), (61, 63), (65, 67), (68, 69),
)  # fmt: skip


def mirrored(skeleton: Skeleton) -> tuple[int, ...]:
    """For each keypoint, the one at its place in a mirrored image."""
    if skeleton != FACE:
        return skeleton.mirrored
    places = list(range(len(FACE.keypoints)))
    for one, other in _FACE_PAIRS:
        places[one], places[other] = other, one
    return tuple(places)
