"""Boxes first, then a crop of each person: keypoints lie where they were painted, whatever the crop."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

import posecv
from conftest import RunScript
from posecv.arrays import Array, Frame
from posecv.decoding.crops import decode_boxes, decode_crops
from posecv.engines.engine import Engine
from posecv.engines.layouts import CropLayout
from posecv.engines.network import Network, load_network
from posecv.errors import InputError, ModelError, UsageError
from posecv.estimators.top_down import BoxesOfBodies, BoxList, BoxMaps, CropNetwork, TopDown, boxes_of
from posecv.formats.caffe import read_pair, write_caffemodel
from posecv.formats.onnx import convert
from posecv.geometry import Fit, NetSize, Preprocessing
from posecv.people import People
from posecv.result import Result
from posecv.skeletons import BODY_25, COCO, COCO_17

PLAIN = Preprocessing(scale=1.0, mean=(0.0, 0.0, 0.0))
STRIDE = 4


def heatmaps_of_dots(blob: Array) -> list[Array]:
    """17 maps of crops in which keypoint k is a dot of brightness 100 + 8 k: 1 where it is, less around."""
    grey = blob[:, 0]
    maps = []
    for keypoint in range(len(COCO_17)):
        near = (np.abs(grey - (100 + 8 * keypoint)) < 3).astype(np.float32)
        shape = len(near), grey.shape[1] // STRIDE, STRIDE, grey.shape[2] // STRIDE, STRIDE
        maps.append(near.reshape(shape).mean(axis=(2, 4)))
    return [0.98 * np.minimum(np.stack(maps, axis=1) * 2, 1)]


def dots(size: tuple[int, int], left: int, top: int, step: int) -> tuple[Frame, Array]:
    """A frame with somebody of 17 dots in rows of four, and where they are, in COCO's order of 17."""
    frame = np.zeros((*size, 3), np.uint8)
    places = np.array([(left + step * (k % 4), top + step * (k // 4)) for k in range(17)], np.float32)
    for keypoint, (x, y) in enumerate(places.astype(int).tolist()):
        half = max(2, step // 8)
        frame[y - half : y + half + 1, x - half : x + half + 1] = 100 + 8 * keypoint
    return frame, places


def crop_network() -> CropNetwork:
    layout = CropLayout(COCO_17, COCO, (256, 192), STRIDE, odds=True)
    return CropNetwork(Engine("dots", ("maps",), heatmaps_of_dots), PLAIN, layout)


def same(outputs: list[Array], blob: Array) -> list[Array]:
    """What a network outputs that outputs the same for everything."""
    return outputs


def same_boxes(boxes: Array, frame: Frame, net_size: NetSize | None = None) -> Array:
    """A detector that always finds the same boxes."""
    return boxes


def slow_boxes(maps: Array, threshold: float, same_box: float) -> list[list[float]]:
    """What `decode_boxes` finds, cell by cell and pair by pair."""
    _, height, width = maps.shape
    found: list[list[float]] = []
    for y in range(height):
        for x in range(width):
            around = maps[0, max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]
            if maps[0, y, x] > threshold and maps[0, y, x] >= around.max():
                left, top, right, bottom = maps[1:, y, x].tolist()
                found.append([x - left, y - top, x + right, y + bottom, float(maps[0, y, x])])
    kept: list[list[float]] = []
    for box in sorted(found, key=lambda each: -each[4]):
        overlaps = []
        for other in kept:
            wide = max(0.0, min(box[2], other[2]) - max(box[0], other[0]))
            tall = max(0.0, min(box[3], other[3]) - max(box[1], other[1]))
            areas = [(each[2] - each[0]) * (each[3] - each[1]) for each in (box, other)]
            overlaps.append(wide * tall / (sum(areas) - wide * tall))
        if all(overlap <= same_box for overlap in overlaps):
            kept.append(box)
    return [[x0, y0, x1 - x0, y1 - y0, score] for x0, y0, x1, y1, score in kept]


class TestBoxes:
    @pytest.mark.parametrize("seed", range(5))
    def test_the_same_boxes_are_found_as_by_looking_at_every_cell_and_pair(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        maps = rng.uniform(0.5, 4, (5, 20, 24)).astype(np.float32)
        maps[0] = rng.random((20, 24))
        expected = slow_boxes(maps, 0.5, 0.4)
        assert len(expected) > 5
        np.testing.assert_allclose(decode_boxes(maps, threshold=0.5, same_box=0.4), expected, atol=1e-5)

    def test_empty_maps_hold_no_boxes(self) -> None:
        assert decode_boxes(np.zeros((1, 5, 8, 8))).shape == (0, 5)

    @pytest.mark.parametrize("shape", [(4, 8, 8), (2, 5, 8, 8), (8, 8)])
    def test_maps_of_another_shape_are_refused(self, shape: tuple[int, ...]) -> None:
        with pytest.raises(InputError, match="maps of boxes must have the shape"):
            decode_boxes(np.zeros(shape))

    def test_a_detectors_cells_become_pixels_of_the_frame(self) -> None:
        # In an input of 320 x 160 for a frame of 639 x 319 pixels, network pixel 100 is pixel 200 of the frame.
        def forward(blob: Array) -> list[Array]:
            assert blob.shape == (1, 3, 160, 320)
            maps = np.zeros((1, 5, 20, 40), np.float32)
            maps[0, 0, 10, 12] = 0.8
            maps[0, 1:, 10, 12] = 2, 5, 2, 5
            return [maps]

        detector = BoxMaps(Engine("boxes", ("maps",), forward), PLAIN, NetSize.parse("320x160"))
        boxes = detector(np.zeros((319, 639, 3), np.uint8))
        left, top = 2 * (8 * 10 + 3.5), 2 * (8 * 5 + 3.5)
        np.testing.assert_allclose(boxes, [[left, top, 2 * 8 * 4, 2 * 8 * 10, 0.8]], rtol=1e-5)

    CORNERS = np.array([[[10, 20, 30, 60], [11, 21, 31, 61], [100, 100, 120, 140], [0, 0, 5, 5]]], np.float32)
    SCORES = np.array([[0.6, 0.9, 0.5, 0.1]], np.float32)

    def listed(self, *outputs: Array) -> Array:
        engine = Engine("list", ("a", "b"), lambda blob: list(outputs))
        return BoxList(engine, PLAIN, (320, 320))(np.zeros((639, 958, 3), np.uint8))  # 319 / 957 of the frame's pixels

    def test_a_list_of_boxes_is_thinned_and_scaled(self) -> None:
        expected = [[33, 63, 60, 120, 0.9], [300, 300, 60, 120, 0.5]]
        other_classes = np.concatenate([self.SCORES, np.full((2, 4), 0.99, np.float32)])
        for outputs in ((self.SCORES[None], self.CORNERS), (self.CORNERS, other_classes[None])):
            np.testing.assert_allclose(self.listed(*outputs), expected, rtol=1e-6)

    def test_of_boxes_with_classes_those_of_people_are_taken(self) -> None:
        scored = np.concatenate([self.CORNERS, self.SCORES[..., None]], axis=2)
        classes = np.array([[0, 7, 0, 0]])
        np.testing.assert_allclose(
            self.listed(scored, classes), [[30, 60, 60, 120, 0.6], [300, 300, 60, 120, 0.5]], rtol=1e-6
        )
        assert self.listed(np.zeros((1, 0, 5), np.float32), np.zeros((1, 0), np.float32)).shape == (0, 5)
        assert self.listed(np.zeros((1, 0, 4), np.float32), np.zeros((1, 1, 0), np.float32)).shape == (0, 5)


class TestCrops:
    def test_a_bump_is_placed_between_the_cells_by_either_refinement(self) -> None:
        y, x = np.mgrid[:64, :48]
        bump = np.exp(-((x - 20.3) ** 2 + (y - 30.7) ** 2) / (2 * 2.0**2))
        odds = decode_crops((bump / (1 + bump))[None, None])
        parabola = decode_crops(0.9 * bump[None, None], refinement="parabola")
        np.testing.assert_allclose(odds[0, 0, :2], [20.3, 30.7], atol=0.05)
        np.testing.assert_allclose(parabola[0, 0, :2], [20.3, 30.7], atol=0.02)

    def test_maps_of_another_shape_and_unknown_refinements_are_refused(self) -> None:
        with pytest.raises(InputError, match="crops"):
            decode_crops(np.zeros((17, 8, 8)))
        with pytest.raises(InputError, match="odds, parabola"):
            decode_crops(np.zeros((1, 17, 8, 8)), refinement="mean")

    def test_a_crop_shows_the_middle_of_a_box_in_its_middle_at_the_size_that_pad_says(self) -> None:
        fit = Fit.of_person(np.array([100, 50, 60, 160]), (192, 256), 1.25, stride=4)
        assert fit.scale == pytest.approx(256 / (160 * 1.25))
        middle = (np.array([(192 - 1) / 2, (256 - 1) / 2]) - 1.5) / 4
        np.testing.assert_allclose(fit.to_frame(middle.astype(np.float32)), [129.5, 129.5], atol=1e-3)

    @pytest.mark.parametrize("box", [(100, 50, 60, 160), (-40, -30, 90, 90), (300, 200, 500, 90), (20, 20, 2, 2)])
    def test_a_part_of_a_frame_gives_the_same_crop_as_the_whole(self, box: tuple[int, ...]) -> None:
        frame = np.random.default_rng(0).integers(0, 256, (240, 320, 3)).astype(np.uint8)
        frame = cv2.GaussianBlur(frame, (0, 0), 5).astype(np.uint8)
        fit = Fit.of_person(np.array(box), (48, 64), 1.25, stride=4)
        if fit.scale > 0.36:  # farther away, blocks of pixels are averaged, and begin elsewhere
            np.testing.assert_allclose(fit.blob_of_part(frame, PLAIN), fit.blob(frame, PLAIN), atol=1)


    def test_distributions_and_heatmaps_of_usual_networks_lead_to_the_same_pixels(self) -> None:
        # Keypoint 3 of a crop of 192 x 256 pixels lies at pixel 100, 60: bin 200 and 120 of twice as many, the first
        # pixel of cell 25, 15.
        x, y = np.zeros((1, 17, 384), np.float32), np.zeros((1, 17, 512), np.float32)
        x[0, 3, 200], y[0, 3, 120] = 0.9, 0.7
        rows, columns = np.mgrid[:64, :48]
        maps = np.zeros((1, 17, 64, 48), np.float32)
        maps[0, 3] = 0.7 * np.exp(-((columns - 25) ** 2 + (rows - 15) ** 2) / 8)
        frame, box = np.zeros((400, 400, 3), np.uint8), np.array([[50, 60, 150, 200, 1]], np.float32)
        fit = Fit.of_person(box[0, :4], (192, 256), 1.25)
        expected = np.array([fit.x, fit.y]) + np.array([100, 60]) / fit.scale
        for outputs, stride in (([x, y], 0), ([maps], 4)):
            engine = Engine("others", ("a",), partial(same, outputs))
            network = CropNetwork(engine, PLAIN, CropLayout(COCO_17, COCO, (256, 192), stride))
            keypoints, _ = network(frame, box)
            found = keypoints[0, COCO.keypoints.index(COCO_17[3])]
            np.testing.assert_allclose(found, [*expected, 0.7], atol=0.02)

    def test_a_network_for_single_crops_gets_one_after_the_other(self) -> None:
        shapes = []

        def forward(blob: Array) -> list[Array]:
            shapes.append(blob.shape)
            return [np.zeros((len(blob), 17, 64, 48), np.float32)]

        boxes = np.tile(np.array([[50, 60, 150, 200, 1]], np.float32), (3, 1))
        for batches in (False, True):
            layout = CropLayout(COCO_17, COCO, (256, 192), 4, batches=batches)
            CropNetwork(Engine("others", ("a",), forward), PLAIN, layout)(np.zeros((300, 300, 3), np.uint8), boxes)
        assert shapes == [(1, 3, 256, 192)] * 3 + [(3, 3, 256, 192)]


class TestTopDown:
    def test_keypoints_lie_where_they_were_painted(self) -> None:
        frame, places = dots((480, 640), 200, 100, 60)
        frame2, places2 = dots((480, 640), 450, 200, 40)
        frame = np.maximum(frame, frame2)
        boxes = np.array([[190, 90, 200, 260, 0.9], [440, 190, 140, 180, 0.8]], np.float32)
        result = TopDown(lambda frame, net_size=None: boxes, crop_network())(frame)
        assert result.people.skeleton is COCO
        order = [COCO.keypoints.index(name) for name in COCO_17]
        for person, expected, size in zip(result.people, (places, places2), (60, 40), strict=True):
            np.testing.assert_allclose(person.keypoints[0][order, :2], expected, atol=size / 20)
        neck = COCO.keypoints.index("neck")
        shoulders = [COCO.keypoints.index(f"{side}_shoulder") for side in ("left", "right")]
        first = result.people.keypoints[0]
        np.testing.assert_allclose(first[neck, :2], first[shoulders, :2].mean(axis=0), atol=1e-3)
        assert set(result.seconds) == {"detector", "network", "decoding"}

    def test_a_person_in_two_boxes_is_found_once(self) -> None:
        frame, _ = dots((480, 640), 200, 100, 60)
        boxes = np.array([[190, 90, 200, 260, 0.5], [180, 80, 220, 280, 0.9]], np.float32)
        people = TopDown(lambda frame, net_size=None: boxes, crop_network())(frame).people
        assert len(people) == 1
        _, quality = crop_network()(frame, boxes[1:])
        assert people.scores[0] == pytest.approx(0.9 * quality[0])

    def test_a_person_counts_by_the_mass_and_the_height_of_the_bumps(self) -> None:
        rows, columns = np.mgrid[:64, :48]
        maps = np.zeros((1, 17, 64, 48), np.float32)
        spread = np.exp(-((columns - 20) ** 2 + (rows - 30) ** 2) / (2 * 1.5**2))
        maps[0, :4] = 0.5 * spread       # half the mass and half the height of a certain bump
        maps[0, 4:8, 30:32, 20:25] = 1   # ten cells; a bump's mass is 2 pi 1.5^2, 14 cells
        layout = CropLayout(COCO_17, COCO, (256, 192), STRIDE, odds=True)
        network = CropNetwork(Engine("maps", ("maps",), partial(same, [maps])), PLAIN, layout)
        keypoints, quality = network(np.zeros((300, 300, 3), np.uint8), np.array([[20, 20, 90, 120]], np.float32))
        ten = 10 / (2 * np.pi * 1.5**2)
        found = keypoints[0, [COCO.keypoints.index(name) for name in COCO_17], 2]
        np.testing.assert_allclose(found, [0.5] * 4 + [ten] * 4 + [0] * 9, atol=2e-3)
        assert quality[0] == pytest.approx((4 * 0.5 * 0.5 + 4 * ten) / 17, rel=0.01)

    def test_keypoints_a_little_outside_the_frame_lie_on_its_edge_and_others_are_missing(self) -> None:
        maps = np.zeros((1, 17, 64, 48), np.float32)
        layout = CropLayout(COCO_17, COCO, (256, 192), STRIDE, odds=True)
        maps[0, :, 1, 30] = 0.9   # six pixels of the crop: above the frame
        maps[0, 5, 1, 30], maps[0, 5, 5, 30] = 0, 0.9
        network = CropNetwork(Engine("maps", ("maps",), partial(same, [maps])), PLAIN, layout)
        # Crop pixel 5.5 is row y0 + 5.5 / scale; the box, 200 high, is 1 / 1.05 of the crop's 256 pixels.
        scale = 256 / (200 * 1.05)
        middle = 127.5 / scale
        for above, there in ((4.0, True), (30.0, False)):
            top = middle - above - 5.5 / scale - 100 + 0.5
            box = np.array([[100, top, 100, 200, 1]], np.float32)
            estimator = TopDown(partial(same_boxes, box), network, threshold=0.05)
            people = estimator(np.zeros((400, 400, 3), np.uint8)).people
            nose, shoulder = (COCO.keypoints.index(name) for name in (COCO_17[0], COCO_17[5]))
            assert bool(people.found[0, nose]) == there if len(people) else not there
            if there:
                assert people.keypoints[0, nose, 1] == 0
                assert people.keypoints[0, shoulder, 1] == pytest.approx(16 / scale - above, abs=0.2)

    def test_a_frame_without_boxes_shows_nobody(self) -> None:
        nothing = np.zeros((0, 5), np.float32)
        people = TopDown(lambda frame, net_size=None: nothing, crop_network())(np.zeros((90, 90, 3), np.uint8)).people
        assert len(people) == 0
        assert people.keypoints.shape == (0, 18, 3)

    def test_between_looks_people_are_found_where_they_were(self) -> None:
        frame, places = dots((480, 640), 200, 100, 60)
        looks = []

        def detector(frame: Frame, net_size: NetSize | None = None) -> Array:
            looks.append(net_size)
            return np.array([[190, 90, 200, 260, 0.9]], np.float32)

        estimator = TopDown(detector, crop_network(), every=3)
        before: Result | None = None
        for number in range(7):
            found = estimator(frame, before)
            before = replace(found, frame=None, number=5 * number)  # every fifth frame of a video is used
            nose = found.people.keypoints[0, COCO.keypoints.index("nose"), :2]
            np.testing.assert_allclose(nose, places[0], atol=3)
        assert len(looks) == 3  # the first, fourth and seventh

    def test_the_boxes_of_bodies_hold_their_keypoints(self) -> None:
        keypoints = np.zeros((1, 18, 3), np.float32)
        keypoints[0, :4] = (10, 20, 1), (50, 20, 1), (10, 120, 1), (50, 120, 1)
        people = People(keypoints, np.array([0.7], np.float32), COCO)
        np.testing.assert_allclose(boxes_of(people), [[30 - 22.4, 70 - 56, 44.8, 112, 0.7]], rtol=1e-5)

        class Bodies:
            skeleton = COCO

            def __call__(self, frame: Frame, before: Result | None = None, **overrides: object) -> Result:
                assert overrides in ({}, {"net_size": NetSize.parse("-1x256")})
                return Result(people, frame)

        detector = BoxesOfBodies(Bodies())
        frame = np.zeros((200, 200, 3), np.uint8)
        np.testing.assert_allclose(detector(frame), boxes_of(people))
        np.testing.assert_allclose(detector(frame, NetSize.parse("-1x256")), boxes_of(people))

    def test_an_unknown_setting_names_the_nearest(self) -> None:
        estimator = TopDown(lambda frame, net_size=None: np.zeros((0, 5), np.float32), crop_network())
        with pytest.raises(UsageError, match="did you mean threshold"):
            estimator(np.zeros((90, 90, 3), np.uint8), treshold=0.2)


DETECTOR = """name: "boxes"
layer {{ name: "image" type: "Input" top: "image" input_param {{ shape {{ dim: [1, 3, 320, 320] }} }} }}
layer {{ name: "centre" type: "Convolution" bottom: "image" top: "centre"
  convolution_param {{ num_output: 1 kernel_size: 8 stride: 8 }} }}
layer {{ name: "probability" type: "Sigmoid" bottom: "centre" top: "probability" }}
layer {{ name: "sides" type: "Convolution" bottom: "image" top: "sides"
  convolution_param {{ num_output: {sides} kernel_size: 8 stride: 8 }} }}
layer {{ name: "out" type: "Concat" bottom: "probability" bottom: "sides" top: "out" }}
"""
POSE = """name: "crops"
layer {{ name: "image" type: "Input" top: "image" input_param {{ shape {{ dim: [1, 3, 256, 192] }} }} }}
layer {{ name: "logits" type: "Convolution" bottom: "image" top: "logits"
  convolution_param {{ num_output: {keypoints} kernel_size: 4 stride: 4 }} }}
layer {{ name: "maps" type: "Sigmoid" bottom: "logits" top: "maps" }}
"""


def pair(folder: Path, name: str, prototxt: str, weights: dict[str, list[Array]]) -> str:
    """Write a pair; its files with a comma between."""
    files = folder / f"{name}.prototxt", folder / f"{name}.caffemodel"
    files[0].write_text(prototxt)
    files[1].write_bytes(write_caffemodel(weights))
    return ",".join(map(str, files))


def detector_pair(folder: Path, sides: int = 4) -> str:
    """It finds a box of 10 x 20 cells round each cell that is green."""
    green, flat = np.zeros((1, 3, 8, 8), np.float32), np.zeros((sides, 3, 8, 8), np.float32)
    green[0, 1] = 40 / 64  # the logit is 40 times the mean of v / 256 - 0.5, less 10
    distances = np.array([5, 10, 5, 10][:sides], np.float32)
    weights = {"centre": [green, np.array([-10], np.float32)], "sides": [flat, distances]}
    return pair(folder, "boxes", DETECTOR.format(sides=sides), weights)


def pose_pair(folder: Path, keypoints: int = 19) -> str:
    """Each of its keypoints lies where a crop is blue."""
    blue = np.zeros((keypoints, 3, 4, 4), np.float32)
    blue[:, 0] = 40 / 16
    weights = {"logits": [blue, np.full(keypoints, -12, np.float32)]}
    return pair(folder, "crops", POSE.format(keypoints=keypoints), weights)


def scene() -> tuple[Frame, Array]:
    """A frame of 320 x 256 pixels with two people for these networks, and where their keypoints are."""
    frame = np.zeros((256, 320, 3), np.uint8)
    places = np.array([[80, 100], [230, 120]], np.float32)
    for column, row in ((10, 14), (28, 14)):
        frame[8 * row - 8 : 8 * row + 16, 8 * column - 8 : 8 * column + 16, 1] = 255
    for x, y in places.astype(int).tolist():
        frame[y - 3 : y + 4, x - 3 : x + 4, 0] = 255
    return frame, places


class TestLoading:
    def network(self, folder: Path) -> Network:
        return load_network(*pose_pair(folder).split(","), detector=detector_pair(folder), engine="opencv")

    def check(self, people: People, expected: Array) -> None:
        assert len(people) == len(expected)
        order = np.argsort(people.keypoints[:, 0, 0])
        for person, place in zip(people.keypoints[order], expected, strict=True):
            np.testing.assert_allclose(person[:, :2], np.tile(place, (18, 1)), atol=1)

    def test_a_pose_network_with_a_detector_finds_everybody_in_every_way(self, tmp_path: Path) -> None:
        network = self.network(tmp_path)
        frame, places = scene()
        assert network.finds_everybody
        assert not network.has_fields
        assert network.skeleton.keypoints == COCO.keypoints
        self.check(posecv.estimate_people(network, frame), places)
        again = pickle.loads(pickle.dumps(network))
        self.check(posecv.estimate_people(again, frame, net_size="320x256"), places)
        one = posecv.estimate_person(network, frame)
        assert len(one) == 1
        cv2.imwrite(str(tmp_path / "a.png"), frame)
        (result,) = posecv.stream(tmp_path / "a.png", network)
        self.check(result.people, places)

    def test_an_onnx_file_of_the_pair_finds_the_same(self, tmp_path: Path) -> None:
        files = pose_pair(tmp_path).split(","), detector_pair(tmp_path).split(",")
        onnx = []
        for number, (prototxt, caffemodel) in enumerate(files):
            data = convert(*read_pair(Path(prototxt), Path(caffemodel)))
            (tmp_path / f"{number}.onnx").write_bytes(data)
            onnx.append(tmp_path / f"{number}.onnx")
        frame, places = scene()
        self.check(posecv.estimate_people(load_network(onnx[0], detector=onnx[1], engine="opencv"), frame), places)

    def test_the_scripts_take_a_detector(self, tmp_path: Path, run_script: RunScript) -> None:
        frame, places = scene()
        cv2.imwrite(str(tmp_path / "a.png"), frame)
        words = "--pose", pose_pair(tmp_path), "--detector", detector_pair(tmp_path), "-i", "a.png", "--json", "a.json"
        for script, count in (("run_multi_pose.py", 2), ("run_pose.py", 1)):
            result = run_script(script, *words)
            assert result.returncode == 0, result.stderr
            records = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))["people"]
            assert len(records) == count
            found = np.array([record["pose_keypoints_2d"][:2] for record in records])
            assert all(np.abs(places - each).max(axis=1).min() < 1 for each in found)

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (("--heatmaps", "maps"), "--heatmaps needs maps of the whole frame"),
            (("--keypoint-scale", "net"), "--keypoint-scale net needs maps of the whole frame"),
            (("--scale-number", "2"), "--scale-number 2: crops looks at people one at a time"),
            (("--maximize-positives",), "--maximize-positives True: crops has no part affinity fields"),
            (("--stages", "1"), "--stages 1"),
        ],
    )
    def test_options_for_maps_of_the_frame_name_a_network_that_has_them(
        self, tmp_path: Path, run_script: RunScript, words: tuple[str, ...], said: str
    ) -> None:
        cv2.imwrite(str(tmp_path / "a.png"), scene()[0])
        networks = "--pose", pose_pair(tmp_path), "--detector", detector_pair(tmp_path)
        result = run_script("run_multi_pose.py", *networks, "-i", "a.png", "--json", "a.json", *words)
        assert result.returncode == 2
        (line,) = result.stderr.splitlines()[-1:]
        assert said in line
        assert "light_body" in line or words[0] == "--stages"

    def test_networks_that_find_no_boxes_or_no_known_keypoints_are_refused(self, tmp_path: Path) -> None:
        pose = pose_pair(tmp_path).split(",")
        with pytest.raises(ModelError, match=r"boxes\.prototxt is not a detector: .* 320 x 320 pixels into 1 x 4 x"):
            load_network(*pose, detector=detector_pair(tmp_path, sides=3), engine="opencv")
        detector = detector_pair(tmp_path)
        pose = pose_pair(tmp_path, keypoints=20).split(",")
        with pytest.raises(ModelError, match="finds 20 keypoints in a crop; layouts with 17, 18, 19, 26 are known"):
            load_network(*pose, detector=detector, engine="opencv")
        with pytest.raises(ModelError, match="finds 5 keypoints"):
            load_network(*detector.split(","), detector=detector, engine="opencv")

    def test_26_heatmaps_are_those_of_halpe(self, tmp_path: Path) -> None:
        network = load_network(*pose_pair(tmp_path, 26).split(","), detector=detector_pair(tmp_path), engine="opencv")
        people = posecv.estimate_people(network, scene()[0])
        assert people.keypoints.shape == (2, 25, 3)
        assert (people.keypoints[..., 2] > 0).all()  # all 25 are among the 26
        assert people.skeleton is BODY_25
