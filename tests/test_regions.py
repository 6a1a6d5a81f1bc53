"""A part of the frame: what is found there has the coordinates of the whole; records of the file as it was."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

import posecv
from conftest import RunScript
from networks import Pair, black, paint_person, painted_network, standing_person
from posecv.arrays import Frame
from posecv.engines.network import load_network
from posecv.errors import InputError, UsageError
from posecv.estimators.region import Region, shifted
from posecv.estimators.single_pass import Everybody, OnePerson
from posecv.geometry import NetSize, limited, narrow
from posecv.models import manifest
from posecv.outputs.coordinates import unturned
from posecv.people import People
from posecv.result import Result
from posecv.skeletons import COCO


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return painted_network(tmp_path_factory.mktemp("painted"), COCO)


@pytest.fixture(scope="module")
def everybody(pair: Pair) -> Everybody:
    return Everybody(load_network(*pair, engine="opencv"), "368x368")


def two() -> Frame:
    """A frame of 736 x 368 pixels with one person in each half."""
    frame = black(736, 368)
    for x in (190, 560):
        paint_person(frame, standing_person(COCO, x, 60), COCO)
    return frame


def middle(people: People) -> float:
    """The mean x of the found keypoints."""
    return float(people.keypoints[people.found][:, 0].mean())


class TestRegion:
    def test_people_in_a_box_have_the_coordinates_of_the_frame(self, everybody: Everybody) -> None:
        frame = two()
        for box, x in (((0, 0, 368, 368), 190), ((368, 0, 368, 368), 560), ((367.6, -5, 900, 900), 560)):
            result = Region(everybody, box=box)(frame)
            assert len(result.people) == 1
            assert abs(middle(result.people) - x) < 25
            assert result.frame is frame
            assert result.view is not None
            expected = Region(everybody, box=box)(frame).people
            peak = np.unravel_index(result.view.maps[0].argmax(), result.view.maps[0].shape)
            nose = result.view.fit.to_frame(np.array([peak[1], peak[0]], np.float32))
            np.testing.assert_allclose(nose, expected.keypoints[0, 0, :2], atol=9)

    def test_nobody_is_found_where_the_mask_is_black(self, everybody: Everybody) -> None:
        mask = np.zeros((2, 4), np.uint8)
        mask[:, 2:] = 255
        result = Region(replace(everybody, net_size="736x368"), mask=mask)(two())
        assert len(result.people) == 1
        assert abs(middle(result.people) - 560) < 25

    def test_a_box_outside_the_frame_and_a_black_mask_are_refused(self, everybody: Everybody) -> None:
        with pytest.raises(InputError, match=r"box 800,0,90,90 .* lies outside the 736 x 368 image"):
            Region(everybody, box=(800, 0, 90, 90))(two())
        with pytest.raises(UsageError, match="mask must be"):
            Region(everybody, mask=np.zeros((4, 4), np.uint8))

    def test_what_was_found_before_is_handed_on_in_the_part_s_coordinates(self) -> None:
        seen: list[Result | None] = []

        class Watches:
            skeleton = COCO

            def __call__(self, frame: Frame, before: Result | None = None, **overrides: object) -> Result:
                seen.append(before)
                return Result(people, frame)

        keypoints = np.zeros((1, 18, 3), np.float32)
        keypoints[0, 3] = 7, 9, 0.5
        people = People(keypoints, np.ones(1, np.float32), COCO)
        region = Region(Watches(), box=(100, 20, 50, 50))
        result = region(two())
        assert result.people.keypoints[0, 3].tolist() == [107, 29, 0.5]
        assert not result.people.keypoints[0, 4].any()
        region(two(), result)
        assert seen[1] is not None
        assert seen[1].people.keypoints[0, 3].tolist() == [7, 9, 0.5]

    def test_hands_and_faces_move_along(self) -> None:
        hands, faces = np.zeros((1, 2, 21, 3), np.float32), np.ones((1, 70, 3), np.float32)
        hands[0, 1] = 2, 3, 0.5
        people = People(np.zeros((1, 18, 3), np.float32), np.ones(1, np.float32), COCO, hands, faces)
        moved = shifted(people, 10, 20)
        assert moved.hands is not None
        assert moved.faces is not None
        assert moved.hands[0, 1, 0].tolist() == [12, 23, 0.5]
        assert not moved.hands[0, 0].any()
        assert moved.faces[0, 0].tolist() == [11, 21, 1]


class TestUnturned:
    @pytest.mark.parametrize("flip", [False, True])
    @pytest.mark.parametrize(("rotate", "code"), [(0, None), (90, cv2.ROTATE_90_CLOCKWISE), (180, cv2.ROTATE_180),
                                                  (270, cv2.ROTATE_90_COUNTERCLOCKWISE)])  # fmt: skip
    def test_a_keypoint_lies_on_the_pixel_of_the_file(self, rotate: int, code: int | None, flip: bool) -> None:
        frame = np.zeros((40, 70, 3), np.uint8)
        frame[11, 52] = 255
        turned = frame if code is None else cv2.rotate(frame, code)
        turned = cv2.flip(turned, 1) if flip else turned
        y, x = np.argwhere(turned[..., 0])[0].tolist()
        wrist = COCO.keypoints.index("left_wrist")
        keypoints = np.zeros((1, 18, 3), np.float32)
        keypoints[0, wrist] = x, y, 0.7
        people = People(keypoints, np.ones(1, np.float32), COCO)
        back = unturned(Result(people, turned.astype(np.uint8)), rotate, flip)
        named = COCO.keypoints.index("right_wrist") if flip else wrist
        assert back.people.keypoints[0, named].tolist() == pytest.approx([52, 11, 0.7])
        assert np.count_nonzero(back.people.keypoints[..., 2]) == 1
        np.testing.assert_array_equal(back.frame, frame)

    def test_hands_change_sides_in_a_mirror(self) -> None:
        hands = np.zeros((1, 2, 21, 3), np.float32)
        hands[0, 0] = 5, 6, 1
        people = People(np.zeros((1, 18, 3), np.float32), np.ones(1, np.float32), COCO, hands)
        back = unturned(Result(people, np.zeros((20, 30, 3), np.uint8)), 0, True).people
        assert back.hands is not None
        assert back.hands[0, 1, 0].tolist() == [24, 6, 1]
        assert not back.hands[0, 0].any()


class TestScripts:
    def records(self, folder: Path, run_script: RunScript, pair: Pair, *words: str) -> list[list[float]]:
        cv2.imwrite(str(folder / "a.png"), two())
        fixed = "-p", pair[0], "-m", pair[1], "-i", "a.png", "--json", "a.json", "--engine", "opencv"
        result = run_script("run_multi_pose.py", *fixed, *words)
        assert result.returncode == 0, result.stderr
        people = json.loads((folder / "a.json").read_text(encoding="utf-8"))["people"]
        return [person["pose_keypoints_2d"] for person in people]

    def test_a_box_and_a_mask(self, tmp_path: Path, run_script: RunScript, pair: Pair) -> None:
        (found,) = self.records(tmp_path, run_script, pair, "--box", "368,0,368,368")
        assert abs(found[0] - 560) < 25
        mask = np.full((368, 736), 255, np.uint8)
        mask[:, 368:] = 0
        cv2.imwrite(str(tmp_path / "mask.png"), mask)
        (found,) = self.records(tmp_path, run_script, pair, "--mask", "mask.png")
        assert abs(found[0] - 190) < 25

    def test_records_of_a_turned_image_in_the_coordinates_of_its_file(
        self, tmp_path: Path, run_script: RunScript, pair: Pair
    ) -> None:
        plain = self.records(tmp_path, run_script, pair)
        turned = self.records(tmp_path, run_script, pair, "--rotate", "180", "--keypoint-scale", "source")
        frame = cv2.rotate(two(), cv2.ROTATE_180)
        upright = tmp_path / "b.png"
        cv2.imwrite(str(upright), frame)
        words = "-i", upright, "--rotate", "180", "--keypoint-scale", "source", "--json", "b.json", "--engine", "opencv"
        result = run_script("run_multi_pose.py", "-p", pair[0], "-m", pair[1], *words)
        assert result.returncode == 0, result.stderr
        people = json.loads((tmp_path / "b.json").read_text(encoding="utf-8"))["people"]
        assert len(people) == len(plain) == 2
        expected = np.array(plain).reshape(2, 18, 3)
        found = np.array([person["pose_keypoints_2d"] for person in people]).reshape(2, 18, 3)
        np.testing.assert_allclose(found[..., :2], [735, 367] - expected[..., :2], atol=0.02)
        assert len(turned) <= 2

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (("--mask", "no.png"), "--mask no.png is not an image that can be read"),
            (("--box", "900,0,50,50"), "lies outside the 736 x 368 image"),
        ],
    )
    def test_regions_that_are_none_are_one_line(
        self, tmp_path: Path, run_script: RunScript, pair: Pair, words: tuple[str, ...], said: str
    ) -> None:
        cv2.imwrite(str(tmp_path / "a.png"), two())
        network = "-p", pair[0], "-m", pair[1]
        result = run_script("run_multi_pose.py", *network, "-i", "a.png", "--json", "a.json", *words)
        assert result.returncode == 2
        assert said in result.stderr.splitlines()[-1]


class TestWhoIsLeftOut:
    def test_everybody_by_default_and_fewer_on_request_in_the_library_and_the_scripts(
        self, tmp_path: Path, run_script: RunScript, pair: Pair, everybody: Everybody
    ) -> None:
        frame = black(736, 368)
        for x, scale in ((190, 1.0), (560, 0.5)):
            paint_person(frame, standing_person(COCO, x, 60, scale), COCO)
        whole = replace(everybody, net_size="736x368")
        tall = whole(frame).people.boxes[:, 3]
        assert len(tall) == 2
        limit = float(tall.mean())
        assert len(whole(frame, person_height=limit).people) == 1
        scores = np.sort(whole(frame).people.scores)
        assert len(whole(frame, person_threshold=float(scores[0])).people) == 1  # above, not at
        assert len(whole(frame, person_keypoints=19).people) == 0
        found = posecv.estimate_people(whole.network, frame, net_size="736x368", person_height=limit)
        assert len(found) == 1
        cv2.imwrite(str(tmp_path / "a.png"), frame)
        words = "-p", pair[0], "-m", pair[1], "-i", "a.png", "--json", "a.json", "--engine", "opencv"
        result = run_script("run_multi_pose.py", *words, "--person-height", str(limit))
        assert result.returncode == 0, result.stderr
        assert len(json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))["people"]) == 1

    def test_our_own_networks_leave_ghosts_out_and_openposes_keep_everybody(self) -> None:
        thresholds = {row.name: row.person_threshold for row in manifest()}
        assert thresholds["light_body"] == 0.085
        assert thresholds["coco"] is None


class TestLongFrames:
    def test_a_panorama_names_the_size_that_shows_it_as_finely(
        self, tmp_path: Path, run_script: RunScript, pair: Pair
    ) -> None:
        cv2.imwrite(str(tmp_path / "a.png"), black(1472, 368))
        cv2.imwrite(str(tmp_path / "b.png"), black(640, 368))
        words = "-p", pair[0], "-m", pair[1], "--engine", "opencv", "--json", "out"
        result = run_script("run_multi_pose.py", *words, "-i", "a.png", "-v")
        assert "the network's input has 656 x 368 pixels" in result.stderr
        assert "1472 x 368 pixels: the longer side" in result.stderr
        assert "--net-size 1472x368 may find more" in result.stderr
        for words_of_size in ((), ("--net-size", "1472x368")):
            image = "b.png" if not words_of_size else "a.png"
            result = run_script("run_multi_pose.py", *words, "-i", image, *words_of_size)
            assert len(result.stderr.splitlines()) == 1

    def test_a_tall_frame_is_limited_where_its_width_is_given(self) -> None:
        assert limited(NetSize.parse("256x-1"), 300, 900) == "256x768"
        assert limited(NetSize.parse("-1x256"), 300, 900) is None
        assert limited(NetSize.parse("256x256"), 300, 900) is None
        assert limited(NetSize.parse("256"), 900, 300) == "768x256"
        assert limited(NetSize.parse("256"), 300, 900) == "256x768"

    def test_a_tall_frame_gets_the_width_that_a_phone_s_image_has(self) -> None:
        assert narrow(NetSize.parse("-1x368"), 300, 1200) == "208x832"
        others = ("-1x368", 300, 533), ("-1x368", 1200, 300), ("256x-1", 300, 1200), ("256", 300, 900)
        for size, width, height in others:
            assert narrow(NetSize.parse(size), width, height) is None

    def test_of_several_images_the_first_long_one_gets_a_line(
        self, tmp_path: Path, run_script: RunScript, pair: Pair
    ) -> None:
        for name, (width, height) in {"a": (640, 368), "b": (160, 640), "c": (160, 640)}.items():
            cv2.imwrite(str(tmp_path / f"{name}.png"), black(width, height))
        words = "-p", pair[0], "-m", pair[1], "--engine", "opencv", "--json", "out"
        lines = run_script("run_multi_pose.py", *words, "-i", "a.png", "-i", "b.png", "-i", "c.png").stderr
        said = "160 x 640 pixels: people are small in the network's input of 96 x 368; --net-size 208x832 may find more"
        assert lines.count("may find more") == lines.count(said) == 1

    def test_a_hand_s_box_in_a_panorama_gets_no_line(
        self, tmp_path: Path, run_script: RunScript, hand_pair: Pair
    ) -> None:
        cv2.imwrite(str(tmp_path / "a.png"), black(1472, 368))
        words = "-p", hand_pair[0], "-m", hand_pair[1], "--engine", "opencv", "--json", "out"
        lines = run_script("run_hand.py", *words, "-i", "a.png", "--box", "100,100,80,80").stderr
        assert "may find more" not in lines


class TestOneOfSeveral:
    def test_the_best_person_is_whole_where_the_strongest_peaks_belong_to_two(self, pair: Pair) -> None:
        network = load_network(*pair, engine="opencv")
        frame = two()
        plain = OnePerson(network, "736x368")(frame)
        assert plain.several
        best = OnePerson(network, "736x368", best=True)(frame)
        assert not best.several
        assert len(best.people) == 1
        xs = best.people.keypoints[0, best.people.found[0], 0]
        assert np.ptp(xs) < 150  # of one person; the other is 370 pixels away
        (first, *_) = Everybody(network, "736x368", person_threshold=0.0)(frame).people
        np.testing.assert_array_equal(best.people.keypoints, first.above(0.1).keypoints)

    def test_of_one_person_it_is_the_same(self, pair: Pair) -> None:
        network = load_network(*pair, engine="opencv")
        frame = black(736, 368)
        paint_person(frame, standing_person(COCO, 300, 40, 1.2), COCO)
        plain, best = (OnePerson(network, "736x368", best=best)(frame) for best in (False, True))
        assert not plain.several
        np.testing.assert_array_equal(plain.people.keypoints, best.people.keypoints)

    def test_run_pose_names_the_way_out_for_a_pair_and_takes_it_on_request(
        self, tmp_path: Path, run_script: RunScript, pair: Pair
    ) -> None:
        cv2.imwrite(str(tmp_path / "a.png"), two())
        words = "-p", pair[0], "-m", pair[1], "-i", "a.png", "--json", "a.json", "--engine", "opencv"
        result = run_script("run_pose.py", *words, "--net-size", "736x368")
        assert result.returncode == 0
        assert "several people are there" in result.stderr
        assert "run_multi_pose.py finds everybody, --best" in result.stderr
        result = run_script("run_pose.py", *words, "--net-size", "736x368", "--best")
        assert (result.returncode, len(result.stderr.splitlines())) == (0, 1)
