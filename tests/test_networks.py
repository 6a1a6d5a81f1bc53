"""The tiny networks of `networks.py` give the maps that they promise, read by OpenCV."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from networks import (
    RADIUS,
    REACH,
    SIGMA,
    STRIDE,
    WINDOW,
    black,
    dot_colors,
    dot_mass,
    pack_maps,
    packed_network,
    paint_person,
    painted_network,
    read_by_opencv,
    standing_person,
)
from posecv.formats.caffe import open_tops, read_pair
from posecv.skeletons import BODY_25, COCO, FACE, HAND, MPI, SKELETONS, Skeleton

Array = NDArray[Any]
EVERY = pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=SKELETONS)


def maps_of(pair: tuple[Path, Path], frame: Array) -> list[Array]:
    """Each output of the network on the frame as it is, by OpenCV alone."""
    network = read_by_opencv(*pair)
    network.setInput(frame.transpose(2, 0, 1)[None].astype(np.float32) / 256 - 0.5)
    return [output[0] for output in network.forward(list(open_tops(read_pair(*pair)[0])))]


def painted_maps(frame: Array, skeleton: Skeleton) -> Array:
    """What `painted_network` says it computes, pixel by pixel and cell by cell, with no convolution."""
    count, (height, width) = len(skeleton.keypoints), np.array(frame.shape[:2]) // STRIDE
    cells = np.moveaxis(np.mgrid[:height, :width][::-1], 0, -1)  # h, w, x y
    step = dot_colors(skeleton)[1, 2] / 255
    weight = 2 * np.pi * SIGMA**2 * (1 - np.exp(-(RADIUS**2) / (2 * SIGMA**2)))
    heat = np.zeros((count, height, width))
    for y, x in np.argwhere(frame.any(axis=2)):
        blue, green, red = frame[y, x] / 255
        away = cells * STRIDE + (STRIDE - 1) / 2 - (x, y)
        near = np.exp(-(away**2).sum(axis=-1) / (2 * SIGMA**2)) / weight * (np.abs(away).max(axis=-1) < WINDOW / 2)
        for keypoint, color in enumerate(dot_colors(skeleton) / 255):
            off = np.abs(np.array([blue, red]) - color[[0, 2]] * green)
            agreed = np.clip(2 * green - 4 * off / step, 0, green).sum() - green
            heat[keypoint] += max(agreed, 0) * near
    maps = np.zeros((skeleton.channels, height, width))
    maps[:count], maps[count] = heat, 1 - heat.sum(axis=0)
    for (start, end), channel in zip(skeleton.limbs, skeleton.paf_channels, strict=False):
        for y, x in np.ndindex(height, width):
            away = cells - (x, y)
            distance = np.hypot(*away.T).T
            share = (distance <= REACH) / dot_mass()
            towards = (away / np.maximum(distance, 1)[..., None] * (heat[end] * share)[..., None]).sum(axis=(0, 1))
            gate = 1 - min(4 * (heat[start] * share).sum(), 1)
            maps[channel : channel + 2, y, x] = np.sign(towards) * np.maximum(np.abs(towards) - gate, 0)
    return maps


def enlarged(image: Array) -> Array:
    return cv2.resize(image, None, fx=STRIDE, fy=STRIDE, interpolation=cv2.INTER_CUBIC)


def peak(heat: Array) -> Array:
    """x, y of the centroid of 7 x 7 pixels round the maximum of an enlarged heatmap."""
    large = enlarged(heat)
    y, x = np.unravel_index(large.argmax(), large.shape)
    v, u = np.mgrid[y - 3 : y + 4, x - 3 : x + 4]
    window = large[v, u]
    return np.array([(u * window).sum(), (v * window).sum()]) / window.sum()


def sampled(field: Array, start: Array, end: Array) -> Array:
    """(2, 25) values of an enlarged field on the line."""
    x, y = np.rint(np.linspace(start, end, 25)).astype(int).T
    return field[:, y, x]


@EVERY
def test_a_packed_network_reads_the_maps_that_a_picture_carries(tmp_path: Path, skeleton: Skeleton) -> None:
    maps = np.random.default_rng(1).uniform(-1, 1, (skeleton.channels, 4, 6))
    maps[:, 0, 0] = -1, *[0] * (skeleton.channels - 2), 1
    (found,) = maps_of(packed_network(tmp_path, skeleton), pack_maps(maps))
    np.testing.assert_allclose(found, maps, atol=0.6 / 32767)


@pytest.mark.parametrize("write", [packed_network, painted_network])
def test_split_outputs_and_heatmaps_alone_are_parts_of_the_joined_maps(tmp_path: Path, write: Any) -> None:
    frame = paint_person(black(256, 320), standing_person(COCO, 128, 20), COCO)
    (joined,) = maps_of(write(tmp_path / "a", COCO), frame)
    fields, heat = maps_of(write(tmp_path / "b", COCO, outputs="split"), frame)
    (alone,) = maps_of(write(tmp_path / "c", COCO, outputs="heatmaps"), frame)
    np.testing.assert_allclose(np.concatenate([heat, fields]), joined, atol=1e-5)
    np.testing.assert_allclose(alone, heat, atol=1e-5)


@pytest.mark.parametrize("skeleton", [COCO, MPI, HAND], ids=repr)
def test_a_painted_network_computes_its_formula(tmp_path: Path, skeleton: Skeleton) -> None:
    keypoints = standing_person(skeleton, 64.3, 24.6, scale=0.5)
    keypoints[:, 2] = np.linspace(0.4, 1, len(keypoints))
    frame = paint_person(black(128, 192), keypoints, skeleton, radius=3.2)
    (maps,) = maps_of(painted_network(tmp_path, skeleton), frame)
    np.testing.assert_allclose(maps, painted_maps(frame, skeleton), atol=2e-4)


@EVERY
def test_painted_keypoints_are_peaks_where_they_were_painted(tmp_path: Path, skeleton: Skeleton) -> None:
    keypoints = standing_person(skeleton, 100.3, 52.8)
    keypoints[:, :2] += np.random.default_rng(2).uniform(-1, 1, (len(keypoints), 2))
    frame = paint_person(black(368, 384), keypoints, skeleton)
    (maps,) = maps_of(painted_network(tmp_path, skeleton), frame)
    for heat, (x, y, _) in zip(maps, keypoints, strict=False):
        np.testing.assert_allclose(peak(heat), (x, y), atol=0.6)
        assert enlarged(heat).max() == pytest.approx(1, abs=0.03)


def test_dots_of_half_the_strength_have_half_the_heat(tmp_path: Path) -> None:
    keypoints = standing_person(COCO, 100, 40) * (1, 1, 0.5)
    (maps,) = maps_of(painted_network(tmp_path, COCO), paint_person(black(208, 336), keypoints, COCO))
    assert [enlarged(heat).max() for heat in maps[:18]] == pytest.approx([0.5] * 18, abs=0.02)


def test_a_keypoint_of_no_strength_leaves_no_heat(tmp_path: Path) -> None:
    keypoints = standing_person(COCO, 100, 40)
    keypoints[4] = 0
    (maps,) = maps_of(painted_network(tmp_path, COCO), paint_person(black(208, 336), keypoints, COCO))
    assert abs(maps[4]).max() < 0.005


def test_a_picture_twice_as_large_has_its_peaks_at_the_same_places(tmp_path: Path) -> None:
    keypoints = standing_person(COCO, 100, 40)
    large = paint_person(black(416, 672), keypoints * (2, 2, 1) + (0.5, 0.5, 0), COCO, radius=2 * RADIUS)
    frame = cv2.resize(large, (208, 336), interpolation=cv2.INTER_AREA)
    (maps,) = maps_of(painted_network(tmp_path, COCO), frame)
    for heat, (x, y, _) in zip(maps, keypoints, strict=False):
        np.testing.assert_allclose(peak(heat), (x, y), atol=0.6)


@pytest.mark.parametrize("skeleton", [COCO, MPI, BODY_25], ids=repr)
def test_limbs_have_a_field_along_them_and_none_all_the_way_to_the_neighbour(
    tmp_path: Path, skeleton: Skeleton
) -> None:
    people = [standing_person(skeleton, 80, 40), standing_person(skeleton, 80 + 176, 40)]
    frame = black(336, 368)
    for keypoints in people:
        paint_person(frame, keypoints, skeleton)
    (maps,) = maps_of(painted_network(tmp_path, skeleton), frame)
    for (start, end), channel in zip(skeleton.limbs, skeleton.paf_channels, strict=True):
        field = np.stack([enlarged(maps[channel]), enlarged(maps[channel + 1])])
        for person, other in (people, people[::-1]):
            way = person[end, :2] - person[start, :2]
            length = np.linalg.norm(way)
            samples = sampled(field, person[start, :2], person[end, :2] - way * 4 / length)
            along = way / length @ samples
            assert along.min() > 0.2
            assert (along / np.linalg.norm(samples, axis=0)).min() > np.cos(np.radians(20))
            astray = other[end, :2] - person[start, :2]
            disagree = astray / np.linalg.norm(astray) @ sampled(field, person[start, :2], other[end, :2]) < 0.01
            assert disagree.sum() > 1  # of 25 samples the decoder forgives one


def test_hands_and_faces_are_painted_without_fields(tmp_path: Path) -> None:
    for skeleton in (HAND, FACE):
        frame = paint_person(black(240, 240), standing_person(skeleton, 24, 24), skeleton)
        (maps,) = maps_of(painted_network(tmp_path, skeleton), frame)
        assert len(maps) == len(skeleton.keypoints) + 1
