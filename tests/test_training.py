"""The recipe of our own networks: what is learnt is what was painted, and what was learnt is what OpenCV runs."""

import gzip
import io
import json
import os
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch", reason="training needs PyTorch; pip install torch==2.13.0 to run these")

import posecv  # noqa: E402
from posecv.decoding.crops import decode_boxes  # noqa: E402
from posecv.formats.caffe import format_prototxt, parse_prototxt, read_pair, write_caffemodel  # noqa: E402
from posecv.skeletons import COCO, FACE, HAND  # noqa: E402
from training import export, pack, see_hands  # noqa: E402
from training.batches import Batch, Batches, Recipe, disturbed  # noqa: E402
from training.boxes import BoxBatches, BoxRecipe, centres, inside  # noqa: E402
from training.data import Cropper, Picture, load_shards, records  # noqa: E402
from training.designs import CONTEXT, DESIGNS, HEAD, Boxes, Design, Residual  # noqa: E402
from training.loss import boxes_cost, cross_entropy, misplaced, squared_error  # noqa: E402
from training.network import CaffeNet, bilinear  # noqa: E402
from training.persons import PersonRecipe, Persons, bumps  # noqa: E402
from training.recipes import mirrored  # noqa: E402
from training.replay import STAYS, Replay, seen  # noqa: E402
from training.slim import choose, slimmed  # noqa: E402
from training.targets import flipped, heard, paint  # noqa: E402

ROOT = Path(__file__).parent.parent
Array = NDArray[np.float32]
CPU = torch.device("cpu")


def standing(x: float, y: float, height: float) -> Array:
    """(18, 3) keypoints of somebody who stands upright with the nose at x, y."""
    places = [
        (0, 0), (0, 0.15), (-0.12, 0.15), (-0.18, 0.35), (-0.2, 0.5), (0.12, 0.15), (0.18, 0.35), (0.2, 0.5),
        (-0.08, 0.5), (-0.08, 0.7), (-0.08, 0.9), (0.08, 0.5), (0.08, 0.7), (0.08, 0.9),
        (-0.03, -0.03), (0.03, -0.03), (-0.06, -0.01), (0.06, -0.01),
    ]  # fmt: skip
    points = np.array(places, np.float32) * height + np.array([x, y], np.float32)
    return np.concatenate([points, np.ones((18, 1), np.float32)], axis=1)


def painted(people: list[Array], size: tuple[int, int] = (256, 320)) -> Any:
    points = torch.from_numpy(np.stack(people))
    return paint(points, torch.zeros(len(people), dtype=torch.long), 1, size, COCO)[0].numpy()


def figure(people: list[Array], size: tuple[int, int] = (256, 320)) -> Any:
    """A frame with people as bright lines on grey."""
    frame = np.full((*size, 3), 100, np.uint8)
    for points in people:
        for start, end in COCO.limbs:
            one, other = points[[start, end], :2].round().astype(int).tolist()
            cv2.line(frame, one, other, (30, 200, 250), 5)
    return frame


class TestTargets:
    def test_the_decoder_reads_from_painted_targets_whom_they_were_painted_for(self) -> None:
        people = [standing(80, 40, 180), standing(230, 60, 150)]
        found = posecv.decode_people(painted(people), COCO, refinement="parabola")
        assert len(found) == 2
        cells = sorted(found.keypoints.tolist(), key=lambda each: each[0][0])
        for points, wanted in zip(cells, people, strict=True):
            np.testing.assert_allclose(np.array(points)[:, :2], (wanted[:, :2] + 0.5) / 8 - 0.5, atol=0.15)

    def test_a_bump_on_the_middle_of_a_cell_is_as_high_as_it_was_meant_to_be(self) -> None:
        points = np.zeros((18, 3), np.float32)
        points[4] = 8 * 10 + 3.5, 8 * 5 + 3.5, 0.6
        maps = painted([points])
        assert maps[4, 5, 10] == pytest.approx(0.6)
        assert maps[18, 5, 10] == pytest.approx(0.4)
        assert maps[4, 5, 11] == pytest.approx(0.6 * np.exp(-0.5 / (7 / 8) ** 2))
        assert not maps[[*range(4), *range(5, 18)]].any()

    def test_fields_are_unit_vectors_from_start_to_end(self) -> None:
        points = np.zeros((18, 3), np.float32)
        points[1], points[2] = (43.5, 83.5, 1), (163.5, 83.5, 1)
        field = painted([points])[[31, 32]]
        np.testing.assert_array_equal(field[:, 10, 5:21], [[1] * 16, [0] * 16])
        assert not field[:, 13:].any()

    def test_where_limbs_cross_the_field_is_their_mean(self) -> None:
        one, other = np.zeros((2, 18, 3), np.float32)
        one[1], one[2] = (43.5, 83.5, 1), (163.5, 83.5, 1)
        other[1], other[2] = (103.5, 23.5, 1), (103.5, 143.5, 1)
        np.testing.assert_allclose(painted([one, other])[[31, 32], 10, 12], [0.5, 0.5])

    def test_cells_in_boxes_to_ignore_teach_nothing(self) -> None:
        weight = heard(torch.tensor([[16.0, 8.0, 16.0, 8.0]]), torch.tensor([1]), 2, (32, 48))
        expected = np.ones((2, 1, 4, 6))
        expected[1, 0, 1, 2:4] = 0
        np.testing.assert_array_equal(weight.numpy(), expected)


class TestBatches:
    def picture(self) -> Picture:
        people = np.stack([standing(150, 50, 180)])
        return Picture("a.webp", "painted", "train", figure(list(people)), people, np.zeros((0, 4), np.float32))

    def test_targets_lie_on_what_the_crop_shows(self) -> None:
        recipe = Recipe(mosaics=0, turn=20)
        batches = Batches([self.picture()], COCO, mirrored(COCO), recipe, CPU)
        batch = batches._simple(np.random.default_rng(3), 12, 256)
        bright = (batch.crops[:, 2] > 200).float()[:, None]
        cells = torch.nn.functional.max_pool2d(bright, 8)[:, 0] > 0
        # Cells well inside the picture's limbs have a field; fields have a limb under them or beside them.
        field = batch.maps[:, 19:].abs().amax(dim=1)
        near = torch.nn.functional.max_pool2d(cells.float()[:, None], 3, 1, 1)[:, 0] > 0
        inside = (batch.crops.amin(dim=1) > 0)[:, 4::8, 4::8]
        assert (field > 0.5).sum() > 100
        assert (near | ~(field > 0.5) | ~inside).float().mean() > 0.995

    def test_a_mirrored_crop_swaps_left_and_right(self) -> None:
        places = mirrored(COCO)
        assert places[2] == 5
        assert places[14] == 15
        assert [places[at] for at in places] == list(range(18))
        face = mirrored(FACE)
        assert [face[at] for at in face] == list(range(70))
        assert (face[0], face[8], face[36], face[48], face[68]) == (16, 8, 45, 54, 69)

    def test_single_crops_are_mosaics_as_often_as_the_recipe_says(self) -> None:
        def plain(blue: int) -> Picture:
            frame = np.full((256, 256, 3), (blue, 0, 0), np.uint8)
            nobody, nothing = np.zeros((0, 18, 3), np.float32), np.zeros((0, 4), np.float32)
            return Picture("a.webp", "painted", "train", frame, nobody, nothing)

        pictures = [plain(blue) for blue in range(10, 250, 10)]
        batches = Batches(pictures, COCO, mirrored(COCO), Recipe(size=64, mosaics=0.5), CPU)
        crops = [batches.plain(np.random.default_rng(seed), 1).crops for seed in range(60)]
        colors = [crop[0, 0, ::4, ::4].round().unique(return_counts=True) for crop in crops]
        mixed = sum((counts > 8).sum() > 2 for _, counts in colors)  # one picture and what lies beyond it: 2
        assert all(crop.shape == (1, 3, 64, 64) for crop in crops)
        assert 18 <= mixed <= 42  # 30, and three standard deviations

    def test_the_same_step_gives_the_same_batch(self) -> None:
        batches = [Batches([self.picture()], COCO, mirrored(COCO), Recipe(), CPU, seed=4) for _ in range(2)]
        one, again, other = batches[0].batch(7, 8), batches[1].batch(7, 8), batches[1].batch(8, 8)
        for a, b in zip(one, again, strict=True):
            assert torch.equal(a, b)
        assert not torch.equal(one.crops, other.crops)

    def test_crops_of_a_batch_at_once_are_those_of_opencv(self) -> None:
        picture = self.picture()
        cropper = Cropper([picture], CPU)
        matrices = np.array([[[0.7, 0.2, 10], [-0.2, 0.8, 20]], [[-1.1, 0, 300], [0, 1.1, -20]]], np.float32)
        one_by_one = cropper.crops(np.array([0, 0]), matrices, (192, 192))
        cropper.canvas = torch.from_numpy(picture.frame)[None]
        together = cropper.crops(np.array([0, 0]), matrices, (192, 192))
        assert (one_by_one - together).abs().median() < 1
        assert (one_by_one - together).abs().mean() < 1.5

    @pytest.mark.parametrize("at_once", [False, True])
    def test_a_shrunk_crop_is_the_mean_of_what_it_shows(self, at_once: bool) -> None:
        rows, columns = np.indices((160, 160))
        chess, ramp = (rows + columns) % 2 * 200, columns
        frame = np.stack([chess, ramp, rows], axis=-1).astype(np.uint8)
        nobody, nothing = np.zeros((0, 18, 3), np.float32), np.zeros((0, 4), np.float32)
        cropper = Cropper([Picture("a.webp", "painted", "train", frame, nobody, nothing)], CPU)
        if at_once:
            cropper.canvas = torch.from_numpy(frame)[None]
        shrunk, same = [[0.5, 0, -4], [0, 0.5, -3]], [[1, 0, -20], [0, 1, -30]]
        crops = cropper.crops(np.array([0, 0]), np.array([shrunk, same], np.float32), (64, 64))
        at = torch.arange(64.0)
        np.testing.assert_allclose(crops[0, 0], 100, atol=1)
        np.testing.assert_allclose(crops[0, 1], (2 * (at + 4)).expand(64, 64), atol=1)
        np.testing.assert_allclose(crops[0, 2], (2 * (at[:, None] + 3)).expand(64, 64), atol=1)
        np.testing.assert_allclose(crops[1].permute(1, 2, 0), frame[30:94, 20:84], atol=0.01)

    def test_a_mirrored_teacher_says_what_is_painted_for_mirrored_people(self) -> None:
        size = 256, 320
        people = [standing(80, 40, 180), standing(230, 60, 150)]
        maps = torch.from_numpy(painted(people, size))[None]
        mirror = []
        for points in people:
            points = points[list(mirrored(COCO))]
            points[:, 0] = size[1] - 1 - points[:, 0]
            mirror.append(points)
        np.testing.assert_allclose(flipped(maps, COCO, mirrored(COCO))[0].numpy(), painted(mirror, size), atol=1e-5)

    def test_a_crop_and_its_mirror_image_agree(self) -> None:
        nose, shoulder = COCO.keypoints.index("nose"), COCO.keypoints.index("right_shoulder")
        field = COCO.paf_channels[COCO.limbs.index((COCO.keypoints.index("neck"), nose))]

        def teacher(crops: Any) -> Any:
            """The light, a right shoulder everywhere, and a field along x towards more light."""
            light = torch.nn.functional.avg_pool2d(crops[:, :1], 8)
            maps = torch.zeros(len(crops), 57, *light.shape[2:])
            maps[:, nose], maps[:, shoulder] = light[:, 0], 1
            maps[:, field] = (light[:, 0, :, -1:] - light[:, 0, :, :1]).sign()
            return maps

        ramp = torch.linspace(0, 1, 128).expand(1, 3, 128, 128)
        maps = seen(teacher, ramp, COCO, mirrored(COCO))[0]
        np.testing.assert_allclose(maps[nose], teacher(ramp)[0, nose], atol=1e-6)
        np.testing.assert_allclose(maps[field], 1)
        np.testing.assert_allclose(maps[shoulder], 0.5)
        np.testing.assert_allclose(maps[mirrored(COCO)[shoulder]], 0.5)

    def test_what_comes_back_is_the_mean_of_teacher_and_labels(self) -> None:
        def teacher(crops: Any) -> Any:
            maps = torch.zeros(len(crops), 57, *(side // 8 for side in crops.shape[2:]))
            maps[:, :19] = 0.25
            return maps

        picture = self.picture()
        picture.ignore = np.array([[0, 0, 320, 256]], np.float32)
        batches = Batches([picture], COCO, mirrored(COCO), Recipe(size=64, mosaics=0), CPU)
        replay = Replay(batches, teacher, 0.4, 4, torch.float32)
        lessons = batches.plain(np.random.default_rng(0), 8)
        replay.add(lessons)
        heard = lessons.weight.bool().expand_as(lessons.maps)
        answer = teacher(lessons.crops)
        wanted = torch.where(heard, 0.6 * lessons.maps + 0.4 * answer, answer)
        assert heard.any()
        assert not heard.all()
        np.testing.assert_allclose(replay.maps[:8].float().numpy(), wanted.numpy(), atol=1e-3)
        assert torch.equal(replay.crops[:8], lessons.crops.round().to(torch.uint8))
        batch = replay.batch(0, 6)
        assert len(batch.crops) == 6
        assert batch.weight.min() == 1
        replay.ask()
        assert replay.made == 12

    def test_no_crop_stays_for_long(self) -> None:
        def teacher(crops: Any) -> Any:
            return torch.zeros(len(crops), 57, *(side // 8 for side in crops.shape[2:]))

        batches = Batches([self.picture()], COCO, mirrored(COCO), Recipe(size=64, mosaics=0), CPU)
        replay = Replay(batches, teacher, 0.5, 2, torch.float32)
        replay.fill(0)
        assert replay.made == 2 * STAYS
        first = replay.crops.clone()
        for step in range(STAYS):
            assert (replay.crops == first).flatten(1).all(dim=1).sum() == 2 * (STAYS - step)
            replay.batch(step, 4)
            replay.ask()
        assert not (replay.crops == first).flatten(1).all(dim=1).any()

    def test_disturbing_keeps_the_range(self) -> None:
        crops = torch.from_numpy(np.random.default_rng(0).uniform(0, 255, (16, 3, 64, 64)).astype(np.float32))
        out = disturbed(crops.clone(), np.random.default_rng(1))
        assert out.min() >= 0
        assert out.max() <= 255
        assert not torch.equal(out, crops)


class TestLoss:
    def bump(self, x: float, y: float, height: float = 1.0) -> Any:
        """(1, 18, 12, 14) heatmaps of one right wrist at a place in cells."""
        points = np.zeros((1, 18, 3), np.float32)
        points[0, 4] = 8 * x + 3.5, 8 * y + 3.5, height
        return paint(torch.from_numpy(points), torch.zeros(1, dtype=torch.long), 1, (96, 112), COCO)[:, :18]

    @pytest.mark.parametrize(("dx", "dy"), [(0, 0), (0.3, 0), (0, -0.4), (-0.3, 0.3)])
    def test_a_bump_elsewhere_costs_the_square_of_its_distance(self, dx: float, dy: float) -> None:
        cost = float(misplaced(self.bump(6 + dx, 5 + dy), self.bump(6, 5)))
        assert cost == pytest.approx(dx**2 + dy**2, rel=0.1, abs=1e-6)

    def test_how_high_a_bump_is_hardly_tells_where_it_is(self) -> None:
        assert float(misplaced(self.bump(6.3, 5, 0.5), self.bump(6, 5))) == pytest.approx(0.09, rel=0.15)
        assert float(misplaced(self.bump(6.3, 5), self.bump(6, 5, 0.5))) == pytest.approx(0.045, rel=0.15)

    def test_steps_against_the_gradient_bring_a_bump_to_its_place(self) -> None:
        maps, wanted = self.bump(6.4, 5).requires_grad_(), self.bump(6, 5)
        cost = misplaced(maps, wanted)
        cost.backward()
        assert maps.grad is not None
        assert maps.grad[0, 4, 5, 7] > 0 > maps.grad[0, 4, 5, 5]
        assert not maps.grad[0, [*range(4), *range(5, 18)]].any()
        assert misplaced(maps - 0.3 * maps.grad, wanted) < 0.5 * cost

    def test_peaks_at_the_edge_and_maps_of_nobody(self) -> None:
        wanted = self.bump(0, 0)
        assert float(misplaced(wanted, wanted)) == 0
        assert float(misplaced(wanted, torch.zeros_like(wanted))) == 0

    def test_who_predicts_nobody_stands_at_nobodys_cost(self) -> None:
        points = torch.from_numpy(standing(40, 12, 70)[None])
        maps = paint(points, torch.zeros(1, dtype=torch.long), 1, (96, 112), COCO)
        batch = Batch(torch.zeros(1, 3, 96, 112), maps, torch.ones(1, 1, 12, 14))
        nobody = torch.zeros_like(maps)
        nobody[:, 18] = 1
        _, plain, cost = squared_error(nobody, batch, 18)
        assert float(plain) == pytest.approx(float(cost), rel=1e-5)
        assert [float(each) for each in squared_error(maps, batch, 18)[:2]] == [0, 0]
        # A missing keypoint costs more than a missing field of as many squares.
        without = [maps.clone(), maps.clone()]
        without[0][:, 0], without[1][:, 19:21] = 0, 0
        losses, squares = zip(*(squared_error(each, batch, 18)[:2] for each in without), strict=True)
        assert losses[0] / squares[0] > 2 * losses[1] / squares[1]


class TestNetwork:
    @pytest.mark.parametrize("name", DESIGNS)
    def test_opencv_gives_what_pytorch_gives(self, name: str, tmp_path: Path) -> None:
        torch.manual_seed(0)
        message = DESIGNS[name].prototxt(name)
        network = CaffeNet(message)
        (tmp_path / "pose.prototxt").write_text(format_prototxt(message))
        (tmp_path / "pose.caffemodel").write_bytes(write_caffemodel(network.weights(), half=True))
        assert export.difference(message, tmp_path) < 1e-3
        design = DESIGNS[name]
        if isinstance(design, Boxes):
            channels, stride = 5, 8
        elif isinstance(design, Residual):  # heatmaps alone, at quarters
            channels, stride = design.skeleton.heatmaps, 4
        else:
            channels, stride = design.skeleton.channels, 8
        assert network(torch.zeros(1, 3, 64, 96)).shape == (1, channels, 64 // stride, 96 // stride)

    def test_a_deconvolution_enlarges_by_linear_interpolation(self) -> None:
        ramp = torch.arange(6.0).expand(6, 6)[None, None]
        large = torch.nn.functional.conv_transpose2d(ramp, bilinear(2)[None, None], stride=2, padding=1)
        np.testing.assert_allclose(large[0, 0, 6, 2:10].numpy(), (np.arange(2, 10) + 0.5) / 2 - 0.5)

    def test_weights_that_do_not_fit_are_told_or_left(self) -> None:
        message = parse_prototxt(
            'layer { name: "image" type: "Input" top: "image" } layer { name: "a" type: "Convolution" bottom: "image" '
            'top: "a" convolution_param { num_output: 2 kernel_size: 1 } }'
        )
        network = CaffeNet(message)
        wrong = {"a": [np.zeros((3, 3, 1, 1), np.float32), np.zeros(3, np.float32)]}
        assert network.load_weights(wrong, strict=False) == ["a"]
        with pytest.raises(ValueError, match="layer a wants"):
            network.load_weights(wrong)

    def test_poolings_that_are_not_the_largest_of_four_are_refused(self) -> None:
        message = DESIGNS["light_body"].prototxt("light_body")
        (pooling,) = (layer for layer in message["layer"] if layer["type"] == ["Pooling"])
        pooling["pooling_param"][0]["kernel_size"] = [3]
        with pytest.raises(ValueError, match="layer context/pool: type Pooling is not among those"):
            CaffeNet(message)

    def test_normalisations_are_in_the_weights_that_ship(self) -> None:
        torch.manual_seed(0)
        design = DESIGNS["light_pose"]
        message = design.prototxt("light_pose")
        network = CaffeNet(message, normalised_except=design.learnt)
        crops = torch.randn(4, 3, 64, 48)
        for _ in range(3):
            network.train()(crops)
        network.eval()
        for normalisation in network.normalisations.values():
            torch.nn.init.uniform_(normalisation.weight, 0.5, 1.5)
            torch.nn.init.normal_(normalisation.bias, std=0.1)
        assert len(network.normalisations) == len(network.convolutions) - len(design.learnt)
        torch.testing.assert_close(CaffeNet(message, network.weights())(crops), network(crops), atol=1e-4, rtol=1e-3)

    def test_normalisations_that_come_later_change_nothing_at_first(self) -> None:
        torch.manual_seed(0)
        design = DESIGNS["light_detect"]
        message = design.prototxt("light_detect")
        plain = CaffeNet(message)
        network = CaffeNet(message, plain.weights(), normalised_except=design.learnt)
        crops = torch.randn(4, 3, 64, 64)
        assert not torch.allclose(network.train()(crops), plain(crops), atol=1e-3)
        network.calibrate(crops)
        assert network.training
        torch.testing.assert_close(network.eval()(crops), plain(crops), atol=1e-4, rtol=1e-3)

    def test_the_mean_of_several_runs_is_taken_blob_by_blob(self) -> None:
        runs = [{"a": [np.full((2, 3), value, np.float32), np.full(2, 2 * value, np.float32)]} for value in (1, 4)]
        mean = export.mean(runs)
        np.testing.assert_array_equal(mean["a"][0], np.full((2, 3), 2.5))
        np.testing.assert_array_equal(mean["a"][1], [5, 5])
        assert mean["a"][0].dtype == np.float32

    def test_the_channels_kept_are_those_that_explain_the_rest(self) -> None:
        rng = np.random.default_rng(0)
        inputs = torch.from_numpy(rng.normal(size=(500, 10)))
        wanted = 3 * inputs[:, [2]] + inputs[:, [7]] + 0.1 * inputs[:, [4]]
        assert choose(inputs, wanted, 2) == [2, 7]
        assert choose(inputs, wanted, 3) == [2, 4, 7]


class TestSlim:
    SMALL = Design(COCO, early=(16, 24, 24, 32), width=32, head=1, wide=32, context=16)

    def made(self, design: Design) -> CaffeNet:
        """A network with random weights, a side branch that says something, and some biases."""
        torch.manual_seed(5)
        network = CaffeNet(design.prototxt("wide")).eval().requires_grad_(False)
        for layer in network.convolutions.values():
            if layer.bias is not None:
                layer.bias.uniform_(-0.2, 0.2)
        return network

    def crops(self) -> list[Any]:
        generator = torch.Generator().manual_seed(6)
        return [torch.randn(16, 3, 64, 64, generator=generator) for _ in range(3)]

    def unexplained(self, given: Any, wanted: Any) -> float:
        return float((given - wanted).square().sum() / (wanted - wanted.mean((0, 2, 3), True)).square().sum())

    @pytest.mark.parametrize("quick", [False, True])
    def test_a_wider_or_longer_side_branch_and_a_longer_head_change_nothing_at_first(self, *, quick: bool) -> None:
        small = replace(self.SMALL, quick=quick)
        wide, crops = self.made(small), self.crops()
        with torch.no_grad():
            slim = slimmed(wide, replace(small, context=48, blocks=5, head=3), crops)
            assert slim.channels["context"] == 48
            assert {"context5/2", HEAD[2]} <= set(slim.convolutions)
            torch.testing.assert_close(slim(crops[0]), wide(crops[0]), atol=1e-4, rtol=1e-4)

    def test_wider_blocks_change_next_to_nothing_at_first(self) -> None:
        wide, crops = self.made(self.SMALL), self.crops()
        with torch.no_grad():
            slim = slimmed(wide, replace(self.SMALL, early=(20, 24, 28, 32)), crops)
            assert slim.channels["conv2_1/sep"] == 20
            assert self.unexplained(slim(crops[1]), wide(crops[1])) < 1e-3

    def test_a_quick_side_branch_says_most_of_what_a_slow_one_said(self) -> None:
        wide, crops = self.made(self.SMALL), self.crops()
        with torch.no_grad():
            slim = slimmed(wide, replace(self.SMALL, quick=True), crops)
            quick = self.unexplained(slim(crops[1]), wide(crops[1]))
            slim.convolutions[CONTEXT].weight.zero_()
            assert quick < 0.3 * self.unexplained(slim(crops[1]), wide(crops[1]))

    def test_a_quick_side_branch_gives_each_of_four_cells_what_the_slow_one_gives_where_all_are_alike(self) -> None:
        wide = self.made(self.SMALL)
        plain = torch.rand(1, 16, 1, 1).expand(1, 16, 6, 6)
        with torch.no_grad():
            slim = slimmed(wide, replace(self.SMALL, quick=True), self.crops())
            wanted = wide.convolutions[CONTEXT](wide.convolutions["context/up"](plain))
            given = slim.convolutions[CONTEXT](plain)
        torch.testing.assert_close(given[..., 1:-1, 1:-1], wanted[..., 1:-1, 1:-1])

    def test_channels_that_are_always_0_are_dropped_without_loss(self) -> None:
        wide, crops = self.made(self.SMALL), self.crops()
        for name, dead in (("conv2_1/sep", [3, 9]), ("conv3_1/sep", [0, 1, 20]), ("wide", [4, 5, 31])):
            layer = wide.convolutions[name]
            layer.weight[dead] = 0
            layer.bias[dead] = -1
        with torch.no_grad():
            slim = slimmed(wide, replace(self.SMALL, early=(14, 24, 21, 32), wide=29), crops)
            wanted, given = wide(crops[1]), slim(crops[1])
        assert slim.channels["conv2_1/sep"] == 14
        assert slim.channels["wide"] == 29
        assert self.unexplained(given, wanted) < 0.01


class TestPack:
    def test_openposes_order_and_neck(self) -> None:
        coco = np.array([[at, 2 * at, 1] for at in range(17)], np.float32)
        points = pack.in_openpose_order(coco)
        assert points[4].tolist() == [10 - 0.5, 20 - 0.5, 1]  # right wrist
        assert points[1].tolist() == [5.5 - 0.5, 11 - 0.5, 1]  # between the shoulders
        coco[5, 2] = 0
        assert pack.in_openpose_order(coco)[1, 2] == 0

    def test_somebody_known_twice_is_painted_once_and_the_unsure_are_ignored(self) -> None:
        human, unsure = standing(100, 50, 180), standing(250, 60, 100)
        taught = human + np.array([2, 2, 0], np.float32)
        people, ignored = pack.merged([human], [(0.9, taught), (0.1, unsure)], [(0.8, human)])
        assert len(people) == 1
        assert len(ignored) == 1
        x, y, width, height = ignored[0]
        assert x < unsure[:, 0].min() < unsure[:, 0].max() < x + width
        assert y < unsure[:, 1].min() < unsure[:, 1].max() < y + height

    def test_cocos_own_files_become_shards_and_come_back(self, tmp_path: Path) -> None:
        people = [standing(100, 50, 180)]
        order = [0, 15, 14, 17, 16, 5, 2, 6, 3, 7, 4, 11, 8, 12, 9, 13, 10]
        flat = [value for at in order for value in (float(people[0][at, 0]) + 0.5, float(people[0][at, 1]) + 0.5, 2)]
        (tmp_path / "val2014").mkdir()
        (tmp_path / "annotations").mkdir()
        cv2.imwrite(str(tmp_path / "val2014" / "COCO_val2014_000000000042.jpg"), figure(people))
        row = {"image_id": 42, "iscrowd": 0, "num_keypoints": 17, "keypoints": flat, "bbox": [0, 0, 9, 9]}
        truth = {
            "images": [{"id": 42, "file_name": "COCO_val2014_000000000042.jpg"}],
            "annotations": [row, row | {"num_keypoints": 0, "bbox": [200, 10, 40, 60]}],
        }
        (tmp_path / "annotations" / "person_keypoints_val2014.json").write_text(json.dumps(truth))
        command = [sys.executable, "-m", "training.pack", "coco", "--data", tmp_path, "--to", tmp_path / "shards"]
        subprocess.run([*map(str, command), "--short-side", "128"], cwd=ROOT, check=True, capture_output=True)
        (picture,) = load_shards(tmp_path / "shards")
        assert picture.frame.shape == (128, 160, 3)
        assert picture.split == "val"
        np.testing.assert_allclose(picture.ignore, [[100, 5, 20, 30]])
        np.testing.assert_allclose(picture.people[0][:, :2], (people[0][:, :2] + 0.5) / 2 - 0.5, atol=0.02)
        assert [export.coco_id(record) for record in records(tmp_path / "shards")] == ["000000000042"]


@pytest.mark.parametrize("normalised", [False, True])
def test_a_few_steps_lower_the_loss_and_the_export_runs_in_opencv(normalised: bool, tmp_path: Path) -> None:
    shards = tmp_path / "shards"
    rng = np.random.default_rng(0)
    pictures = []
    for at in range(12):
        people = [standing(rng.uniform(60, 250), rng.uniform(30, 60), rng.uniform(120, 190))]
        split = "val" if at < 2 else "train"
        record: pack.Record = {"file": f"{at}.webp", "split": split, "source": "painted", "ignore": []}
        content = cv2.imencode(".webp", figure(people))[1].tobytes()
        pictures.append((record | {"people": [people[0].tolist()]}, content))
    pack.write_shards(pictures, shards)
    run = [sys.executable, "-m", "training.train", "light_body", "--shards", str(shards), "--to", str(tmp_path / "run")]
    run += ["--batch", "4", "--rate", "0.001", "--precision", "float32", "--device", "cpu"]
    environment = os.environ | {"PYTHONWARNINGS": "ignore"}
    run += ["--normalise", "--muon", "0.004"] if normalised else []
    for steps in ("6", "12"):
        done = subprocess.run([*run, "--steps", steps], cwd=ROOT, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert "goes on at step 6" in done.stdout
    shares = [float(line.split("\t")[1]) for line in (tmp_path / "run" / "log.tsv").read_text().splitlines()]
    assert shares[1] < shares[0]
    command = [sys.executable, "-m", "training.export", "light_body", "--weights", tmp_path / "run/weights.caffemodel"]
    subprocess.run([*map(str, command), "--to", str(tmp_path / "model")], cwd=ROOT, check=True, capture_output=True)
    network = posecv.load_network(tmp_path / "model" / "pose.prototxt", tmp_path / "model" / "pose.caffemodel")
    message, weights = read_pair(tmp_path / "model" / "pose.prototxt", tmp_path / "model" / "pose.caffemodel")
    blob = np.random.default_rng(1).uniform(-0.5, 0.5, (1, 3, 64, 96)).astype(np.float32)
    with torch.inference_mode():
        expected = CaffeNet(message, weights)(torch.from_numpy(blob))[0].numpy()
    np.testing.assert_allclose(network.maps(blob), expected, atol=1e-3)
    assert network.skeleton == COCO
    hand = DESIGNS["light_hand"]
    assert isinstance(hand, Design)
    assert hand.skeleton == HAND


class TestBoxes:
    RECIPE = BoxRecipe(disturbance=0, mosaics=0)
    FIRST = 20.0, 40.0, 180.0, 300.0, 1.0  # corners in pixels of a crop, height of the bump
    SECOND = 200.0, 100.0, 280.0, 260.0, 0.5

    def painted(self, *boxes: tuple[float, ...]) -> tuple[Any, Any]:
        return centres([np.array(boxes, np.float32).reshape(-1, 5)], self.RECIPE)

    def test_the_decoder_reads_the_boxes_that_were_painted(self) -> None:
        maps, _ = self.painted(self.FIRST, self.SECOND)
        found = decode_boxes(maps[:, :5])
        assert found.shape == (2, 5)
        corners = np.concatenate([found[:, :2], found[:, :2] + found[:, 2:4]], axis=1)
        expected = (np.array([self.FIRST[:4], self.SECOND[:4]]) + 0.5) / 8 - 0.5
        np.testing.assert_allclose(corners[np.argsort(corners[:, 0])], expected, atol=1e-4)
        assert found[:, 4].tolist() == [1, 1]

    def test_a_box_counts_by_how_sure_it_is_however_large_it_is(self) -> None:
        maps, weight = self.painted(self.FIRST, self.SECOND)
        left = maps[0, 5, :, :24]
        assert float(left.sum()) == pytest.approx(1, abs=1e-4)
        assert float(maps[0, 5].sum()) == pytest.approx(1.5, abs=1e-4)
        row, column = ((100 + 260 + 1) / 16 - 0.5, (200 + 280 + 1) / 16 - 0.5)
        assert float(weight[0, 0, round(row), round(column)]) == 0.5
        assert float(weight[0, 0, 0, 39]) == 1

    def test_nothing_is_learnt_inside_a_box_that_may_be_nobody(self) -> None:
        maps, weight = self.painted((160.0, 80.0, 240.0, 160.0, 0.0))
        assert float(maps.abs().max()) == 0
        assert float(weight[0, 0, 10:20, 20:30].max()) == 0
        assert float(weight.sum()) == 40 * 40 - 11 * 11

    def test_boxes_are_mirrored_and_cut_with_the_crop(self) -> None:
        boxes = np.array([[10, 20, 30, 40, 1], [90, 0, 60, 50, 1], [180, 0, 10, 10, 1]], np.float32)
        mirror = np.array([[-1, 0, 99], [0, 1, 0]], np.float32)  # of a crop 100 pixels wide
        found = inside(boxes, mirror, (100, 100), shown=0.35)
        assert found.shape == (2, 5)
        np.testing.assert_allclose(found[0], [59.5, 19.5, 89.5, 59.5, 1])
        np.testing.assert_allclose(found[1], [-0.5, -0.5, 9.5, 49.5, 0])  # a sixth of it is inside

    def test_who_knows_the_boxes_pays_nothing(self) -> None:
        maps, weight = self.painted(self.FIRST, self.SECOND)
        batch = Batch(torch.zeros(1, 3, 320, 320), maps, weight)
        certain = torch.where(maps[:, :1] == 1, 20.0, -20.0)
        knows = torch.cat([certain, maps[:, 1:5]], dim=1)
        assert float(boxes_cost(knows, batch)[0]) < 1e-3
        aside = knows.clone()
        aside[:, 1] += 10                                # cells that the left side lies too far out: 20 cells wide
        loss, _, boxes = boxes_cost(aside, batch)
        # Union and enclosing box are (w + 10) h, what is shared w h: 1 - IoU is 10 / (w + 10), |difference| / (w + h).
        sizes, counts = ((160 / 8, 260 / 8), (80 / 8, 160 / 8)), (1, 0.5)
        expected = sum(count * (2 * 10 / (w + 10) + 10 / (w + h)) for (w, h), count in zip(sizes, counts, strict=True))
        assert float(loss) == pytest.approx(expected, rel=1e-3)
        assert float(boxes) == pytest.approx(2.5)        # 1, 0.5 and the one that stands for images with nobody

    def test_centres_lie_on_the_people_that_crops_and_mosaics_show(self) -> None:
        frame = np.full((240, 320, 3), 30, np.uint8)
        cv2.rectangle(frame, (100, 60), (179, 199), (230, 230, 230), -1)
        boxes = np.array([[100, 60, 80, 140, 1]], np.float32)
        nobody = np.zeros((0, 18, 3), np.float32)
        picture = Picture("a.webp", "painted", "train", frame, nobody, np.zeros((0, 4), np.float32), None, boxes)
        batch = BoxBatches([picture], replace(self.RECIPE, mosaics=0.5), CPU).batch(0, 24)
        seen = 0
        for crop, maps in zip((batch.crops * 256 + 128).numpy(), batch.maps.numpy(), strict=True):
            for row, column in zip(*np.nonzero(maps[0] == 1), strict=True):
                assert crop[:, 8 * row + 3, 8 * column + 3].min() > 200
                left, top = maps[1, row, column], maps[2, row, column]
                x, y = 8 * (column - left + 0.5) - 0.5, 8 * (row - top + 0.5) - 0.5
                inner = crop[0, max(round(y), 0) + 4, max(round(x), 0) + 4]
                assert inner > 200
                seen += 1
        assert seen > 24  # some crops are put together of four

    def test_boxes_of_coco_and_of_a_teacher_get_their_bumps(self) -> None:
        truth = {
            "images": [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "b.jpg"}],
            "annotations": [
                {"image_id": 1, "bbox": [1, 2, 3, 4], "iscrowd": 0},
                {"image_id": 1, "bbox": [5, 6, 7, 8], "iscrowd": 1},
            ],
        }
        assert pack.coco_boxes(truth) == {"a.jpg": [[1, 2, 3, 4, 1], [5, 6, 7, 8, 0]], "b.jpg": []}
        scored = [[0.0, 0, 9, 9, 0.9], [1.0, 0, 9, 9, 0.45], [2.0, 0, 9, 9, 0.2]]
        expected = np.array([[0, 0, 9, 9, 1], [1, 0, 9, 9, 0.75], [2, 0, 9, 9, 0]])
        np.testing.assert_allclose(np.array(pack.teachers_boxes(scored)), expected)


class TestPersons:
    RECIPE = PersonRecipe(disturbance=0, cut=0, sigma=2)

    @staticmethod
    def dotted() -> Picture:
        """Somebody whose keypoints are dots of colours of their own: green by their number, red for the left side."""
        points = standing(150, 40, 220)
        frame = np.full((300, 320, 3), 20, np.uint8)
        for number, (x, y) in enumerate(points[:, :2].round().astype(int).tolist()):
            side = 250 if COCO.keypoints[number].startswith("left") else 120
            cv2.circle(frame, (x, y), 3, (40, 60 + 10 * number, side), -1)
        return Picture("a.webp", "painted", "train", frame, points[None], np.zeros((0, 4), np.float32))

    def test_bumps_stand_on_the_dots_however_a_crop_is_turned_or_mirrored(self) -> None:
        persons = Persons([self.dotted()], COCO, mirrored(COCO), self.RECIPE, CPU)
        batch = persons.batch(0, 24)
        crops = (batch.crops * 256 + 128).numpy()
        turned = 0
        for crop, maps in zip(crops, batch.maps.numpy(), strict=True):
            for number, name in enumerate(COCO.keypoints):
                height = maps[number].max()
                if height < 0.9 or name in ("nose", "neck") or name.endswith(("eye", "ear")):  # dots that overlap
                    continue
                y, x = np.unravel_index(maps[number].argmax(), maps[number].shape)
                around = crop[:, max(4 * y - 4, 0) : 4 * y + 8, max(4 * x - 4, 0) : 4 * x + 8].reshape(3, -1)
                red = around[2, around[1].argmax()]
                # In a mirror the left shoulder looks like a right one: the colour of a right one is then the left's.
                assert (red > 185) == name.startswith("left") or (turned := turned + 1)
        assert turned > 0  # some of the crops were mirrored, in which sides change their names

    def test_a_bump_has_height_1_on_its_cell_and_none_outside_the_crop(self) -> None:
        points = torch.zeros(1, 18, 3)
        points[0, 0] = torch.tensor([4 * 10 + 1.5, 4 * 20 + 1.5, 1.0])  # the middle of cell 10, 20
        points[0, 1] = torch.tensor([-30.0, 50.0, 0.8])                  # known to lie outside
        maps, weight = bumps(points, self.RECIPE)
        assert maps.shape == (1, 19, 64, 48)
        assert maps[0, 0, 20, 10] == 1
        assert maps[0, 0, 20, 12] == pytest.approx(np.exp(-4 / 8))
        assert maps[0, 1].max() == 0
        torch.testing.assert_close(maps[0, 18], 1 - maps[0, 0])
        torch.testing.assert_close(weight[0, :3, 0, 0], torch.tensor([1, 0.8, 0]))

    def test_a_network_that_knows_the_places_pays_nothing_for_them_and_one_that_does_not_pays_all(self) -> None:
        points = torch.zeros(2, 18, 3)
        points[:, :5] = torch.tensor([60.0, 90.0, 1.0])
        maps, weight = bumps(points, self.RECIPE)
        batch = Batch(torch.zeros(2, 3, 256, 192), maps, weight)
        knows = torch.log(maps + 1e-12)
        _, places, anywhere = cross_entropy(knows, batch, 18)
        assert places / anywhere < 1e-3
        _, places, anywhere = cross_entropy(torch.zeros_like(maps), batch, 18)
        assert places / anywhere == pytest.approx(1, abs=1e-4)

    def test_the_loss_pulls_a_peak_to_where_it_belongs(self) -> None:
        points = torch.zeros(1, 18, 3)
        points[0, 3] = torch.tensor([100.0, 130.0, 1.0])
        maps, weight = bumps(points, self.RECIPE)
        batch = Batch(torch.zeros(1, 3, 256, 192), maps, weight)
        logits = torch.full(maps.shape, -4.0, requires_grad=True)
        loss, *_ = cross_entropy(logits, batch, 18)
        loss.backward()
        assert logits.grad is not None
        pull = -logits.grad[0, 3]
        assert divmod(int(pull.argmax()), 48) == divmod(int(maps[0, 3].argmax()), 48)
        assert (logits.grad[0, 4] == 0).all()  # nothing is known of that keypoint

    def test_its_network_answers_maps_at_quarters_whose_last_layer_is_a_sigmoid(self) -> None:
        network = CaffeNet(DESIGNS["light_pose"].prototxt("light_pose"))
        crops = torch.randn(2, 3, 256, 192)
        both = network.tops(crops, ["logits", ""])
        assert both[""].shape == (2, 19, 64, 48)
        torch.testing.assert_close(both[""], both["logits"].sigmoid())


class TestSeenHands:
    @staticmethod
    def look(frame: NDArray[np.uint8]) -> list[tuple[str, NDArray[np.float64]]]:
        """A line down what is red, left hands on the left; what is white, always right; what is blue, off its place."""
        hands = []
        for color in ((0, 0, 255), (255, 255, 255), (255, 0, 0)):
            there = np.argwhere((np.abs(frame.astype(int) - color) < 40).all(axis=-1))
            if len(there):
                (top, left), (bottom, right) = there.min(axis=0), there.max(axis=0)
                x = np.full(21, (left + right) / 2) + 0.4 * (bottom - top) * (color == (255, 0, 0))
                side = "left" if color == (0, 0, 255) and x[0] < frame.shape[1] / 2 else "right"
                hands.append((side, np.stack([x, np.linspace(top, bottom, 21)], axis=1)))
        return hands

    def test_a_hand_counts_that_a_mirror_shows_in_the_same_place(self) -> None:
        frame = np.full((120, 160, 3), 60, np.uint8)
        for left, color in ((20, (0, 0, 255)), (60, (255, 255, 255)), (100, (255, 0, 0))):
            cv2.rectangle(frame, (left, 30), (left + 10, 90), color, -1)
        (side, points), (other, white) = see_hands.certain(self.look, frame)
        assert (side, other) == ("left", None)
        expected = np.stack([np.full(21, 25), np.linspace(30, 90, 21)], axis=1)
        np.testing.assert_allclose(points, expected)
        np.testing.assert_allclose(white, expected + np.array([40, 0]))

    def test_the_squares_at_the_ends_of_arms_are_looked_at_too(self) -> None:
        frame = np.full((200, 300, 3), 60, np.uint8)
        cv2.rectangle(frame, (205, 60), (215, 100), (0, 0, 255), -1)
        person = np.zeros((18, 3), np.float32)
        person[2:5] = (120, 80, 1), (150, 80, 1), (195, 80, 1)
        record: pack.Record = {"people": [person.tolist()]}

        def look(view: NDArray[np.uint8]) -> list[tuple[str, NDArray[np.float64]]]:
            return self.look(view) if view.shape != frame.shape else []

        ((_, points),) = see_hands.hands_of(look, record, cv2.imencode(".png", frame)[1].tobytes())
        np.testing.assert_allclose(points, np.stack([np.full(21, 210), np.linspace(60, 100, 21)], axis=1), atol=1)

    def test_crops_show_them_at_their_places_but_no_picture_that_is_cropped_already(
        self, tmp_path: Path
    ) -> None:
        hand, red = tmp_path / "hand", np.full((120, 160, 3), 60, np.uint8)
        cv2.rectangle(red, (50, 40), (60, 80), (0, 0, 255), -1)
        content = cv2.imencode(".webp", red, [cv2.IMWRITE_WEBP_QUALITY, 100])[1].tobytes()
        for folder, names in (("hand", ["a.webp"]), ("coco", ["000000000007.webp", "000000000008.webp"]), ("body", [])):
            (tmp_path / folder).mkdir()
            with tarfile.open(tmp_path / folder / "0.tar", "w") as tar:
                for name in names:
                    info = tarfile.TarInfo(name)
                    info.size = len(content)
                    tar.addfile(info, io.BytesIO(content))
        cropped = {"file": "a.webp", "split": "test", "source": "s", "hand": None, "keypoints": [[1, 2, 2]] * 21}
        with gzip.open(hand / "labels.jsonl.gz", "wt") as out:
            out.write(json.dumps(cropped | {"origin": "coco-val2017/000000000007"}) + "\n")
        images = [{"id": number, "file_name": f"{number:012}.webp"} for number in (7, 8)]
        with gzip.open(tmp_path / "coco" / "person_keypoints.json.gz", "wt") as out:
            json.dump({"images": images, "annotations": []}, out)
        for name in ("coco/teacher", "body/teacher", "body/labels"):
            gzip.open(tmp_path / f"{name}.jsonl.gz", "wt").close()
        seen = str(tmp_path / "seen.jsonl.gz")
        assert see_hands.write_hands([self.look] * 3, tmp_path, Path(seen)) == 2  # one in each photograph
        given = pack.shared_hands(tmp_path, Path(seen))
        pack.write_shards((pack.shrunk(record, crop, 480, 75) for record, crop in given), tmp_path / "shards")
        told = list(records(tmp_path / "shards"))
        assert [export.coco_id(record) for record in told] == [None, "000000000008"]
        picture = load_shards(tmp_path / "shards")[1]
        assert (picture.hand, picture.split) == ("left", "train")
        assert max(picture.frame.shape[:2]) <= 2.2 * 40 + 1
        ((_, seen_again),) = self.look(picture.frame)
        np.testing.assert_allclose(picture.people[0][:, :2], seen_again, atol=1)


def test_a_network_for_right_hands_is_shown_them_and_some_others() -> None:
    frame = np.zeros((64, 64, 3), np.uint8)
    points = np.concatenate([np.random.default_rng(0).uniform(20, 40, (21, 2)), np.ones((21, 1))], axis=1)
    recipe = Recipe(size=64, mosaics=0, other_side=0.2)
    for hand, expected in (("right", 0.2), ("left", 0.8), (None, 0.5)):
        picture = Picture("a", "s", "train", frame, points[None].astype(np.float32), np.zeros((0, 4), np.float32), hand)
        batches = Batches([picture], HAND, HAND.mirrored, recipe, CPU)
        rng = np.random.default_rng(1)
        mirrored = [np.linalg.det(batches._matrix(rng, picture, 64)[:, :2]) < 0 for _ in range(2000)]
        assert abs(np.mean(mirrored) - expected) < 0.04


def test_shards_are_plain_tars(tmp_path: Path) -> None:
    record: pack.Record = {"file": "a.webp", "split": "train", "source": "s", "people": [], "ignore": []}
    assert pack.write_shards([(record, b"x" * 10)], tmp_path) == 1
    with tarfile.open(tmp_path / "shard-0.tar") as tar:
        assert tar.getnames() == ["labels.jsonl", "a.webp"]
