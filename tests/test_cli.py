"""The command line: spellings, mistakes, exit codes."""

from __future__ import annotations

import json
import re
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

import walking
from conftest import RunScript
from figures import Finds, Screen, Sink, Terminal, people_at, raising, someone, with_display
from networks import Pair, black, paint_person, painted_network, standing_person
from posecv.app import scripts as cli
from posecv.app.config import RunConfig, hand_config, many_config
from posecv.app.options import camera_parser, hand_parser, multi_parser, parse, single_parser
from posecv.app.plan import plan_outputs
from posecv.arrays import Frame
from posecv.drawing import skeletons as drawing
from posecv.engines.network import Network
from posecv.errors import InputError, OutputError, UsageError
from posecv.estimators import Estimator
from posecv.estimators.build import HandsAlong, SeveralHands
from posecv.estimators.parts import HandsOfBodies
from posecv.estimators.single_pass import Everybody
from posecv.outputs import Output
from posecv.outputs.window import WindowClosed
from posecv.run import pipeline
from posecv.run.job import Job
from posecv.run.report import Counter, describe
from posecv.skeletons import COCO, HAND, MPI
from posecv.sources.find import find_sources
from posecv.sources.pictures import Picture
from posecv.sources.selection import Selection
from posecv.sources.streams import Camera

Main = Callable[[list[str]], int]

SCRIPTS: dict[str, Main] = {
    "run_pose": cli.run_pose,
    "run_multi_pose": cli.run_multi_pose,
    "run_hand": cli.run_hand,
    "webcam_pose": cli.webcam_pose,
}
PAIR = ["-p", "pose.prototxt", "-m", "pose.caffemodel"]


def parsed(*words: str) -> Namespace:
    """The options that run_multi_pose.py makes of its words."""
    return parse(single_parser(), words)


def only_line(capsys: pytest.CaptureFixture[str]) -> str:
    """What stands on stderr, which is one line."""
    (line,) = capsys.readouterr().err.splitlines()
    return line


# --- spellings ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", ["-1x368", "368x-1", "656x368", "368"])
def test_a_net_size_may_begin_with_a_dash(size: str) -> None:
    assert parsed("--net-size", size).net_size == parsed(f"--net-size={size}").net_size == size
    assert parsed("--net_resolution", size, "-v").net_size == size


def test_a_box_may_begin_outside_the_picture() -> None:
    given = parse(hand_parser(), ["--box", "-5,10,100,120"])
    assert given.box == [((-5, 10, 100, 120), None)]


def test_a_hand_s_box_says_its_side_and_may_be_given_again() -> None:
    words = ["--box", "1,2,3,4,left", "--box", "(5, 6, 7, 8, Right)", "--box=9,10,11,12", "--left", "-m", "light_hand"]
    given = parse(hand_parser(), words)
    first, second, third = (1, 2, 3, 4), (5, 6, 7, 8), (9, 10, 11, 12)
    assert given.box == [(first, True), (second, False), (third, None)]
    built = hand_config(given).estimator
    assert isinstance(built, SeveralHands)
    assert built.places == ((first, True), (second, False), (third, True))


def test_width_and_height_say_the_net_size() -> None:
    assert parsed("--width", "656", "--height", "368").net_size == "656x368"
    assert parsed("--height", "368").net_size == "-1x368"
    assert parsed().net_size is None
    with pytest.raises(UsageError, match="give only one of them"):
        parsed("--width", "368", "--net-size", "368")


@pytest.mark.parametrize(
    ("pasted", "plain"),
    [
        ("--proto a --model b", "-p a -m b"),
        ("--model_pose BODY_25", "--model BODY_25"),
        ("--image_file a.jpg", "-i a.jpg"),
        ("--imgpath a.jpg b.jpg", "-i a.jpg b.jpg"),
        ("--image=a.jpg", "--input a.jpg"),
        ("--video a.mp4 --write_video b.avi", "-i a.mp4 -o b.avi"),
        ("--frame_first 2 --frame_last 9 --frame_step 3", "--first 2 --last 9 --step 3"),
        ("--frame_flip --frame_rotate 90", "--flip --rotate 90"),
        ("--write_coco_json c.json", "--coco-json c.json"),
        ("--image_dir d --write_images o --write_json j --display 0", "-i d --images o --json j --no-show"),
        ("--image-dir d --write-images o --no_display", "-i d --images o --no-show"),
        ("-image_dir d -write_json=j -display 0 -net_resolution -1x256", "-i d --json j --no-show --net-size -1x256"),
        ("-output o.png -input a.jpg", "-o o.png -i a.jpg"),
        ("--thr 0.2 --dataset MPI", "--threshold 0.2 --skeleton MPI"),
        ("--scale 0.003922 --swap_rb", "--scale 0.003922 --swap-rb"),
        ("--device GPU", "--device cuda"),
        ("--device cuda_fp16", "--device cuda-fp16"),
        ("--camera 1 --camera_resolution 640x480", "-i 1 --camera-size 640x480"),
        ("--keypoint_scale 0", "--keypoint-scale image"),
        ("--keypoint_scale 1", "--keypoint-scale net"),
        ("--keypoint_scale 2", "--keypoint-scale image"),
        ("--keypoint_scale 3", "--keypoint-scale unit"),
        ("--keypoint_scale 4", "--keypoint-scale signed"),
        ("--num_scales 4 --scale_gap 0.2", "--scale-number 4 --scale-gap 0.2"),
        (
            "--write_heatmaps h --heatmaps_add_parts --heatmaps_add_bkg=true --heatmaps_add_PAFs",
            "--heatmaps h --heatmaps-of all,background,pafs",
        ),
        ("--heatmaps h", "--heatmaps h --heatmaps-of all,all"),
        ("--disable_blending", "--render blank"),
        ("--frame_flip=false", ""),
        ("--net_resolution=656x368", "--net-size 656x368"),
        ("-i a.jpg -i b.jpg", "-i a.jpg b.jpg"),
        ("--mean 128", "--mean 128,128,128"),
        ("--mean (104,117,123)", "--mean 104,117,123"),
        ("--scale 1/256", "--scale 0.00390625"),
    ],
)
def test_pasted_spellings_mean_the_same(pasted: str, plain: str) -> None:
    left, right = vars(parsed(*pasted.split())), vars(parsed(*plain.split()))
    assert {**left, "display": None} == {**right, "display": None}


# OpenPose's flags, as its page of flags has them, by what becomes of them here.
ACCEPTED = """
    camera=0 camera_resolution=640x480 video=a.mp4 image_dir=d ip_camera=rtsp://a/b frame_first=1 frame_step=2
    frame_last=9 frame_flip frame_rotate=90 model_pose=BODY_25 prototxt_path=a caffemodel_path=b net_resolution=-1x368
    scale_number=4 scale_gap=0.25 maximize_positives number_people_max=2 keypoint_scale=3 heatmaps_add_parts
    heatmaps_add_bkg heatmaps_add_PAFs face face_net_resolution=320x320 hand hand_net_resolution=368x368
    hand_scale_number=6 hand_scale_range=0.4 render_pose=1 alpha_pose=0.6 disable_blending display=0 write_json=j
    write_images=o write_video=o.avi write_heatmaps=h write_coco_json=c.json no_display write_keypoint_json=j
    write_pose_json=j num_scales=2 write_video_fps=10
""".split()
ANSWERED = """
    flir_camera flir_camera_index=0 frames_repeat process_real_time camera_parameter_path=a frame_undistort
    model_folder=m net_resolution_dynamic=1 upsampling_ratio=8 body=1 output_resolution=640x480
    fps_max=10 part_candidates heatmaps_scale=2 face_detector=0 hand_detector=0 face_render=1
    hand_render=1 render_threshold=0.1 face_render_threshold=0.1 hand_render_threshold=0.1 face_alpha_pose=1
    hand_alpha_pose=1 alpha_heatmap=1 face_alpha_heatmap=1 hand_alpha_heatmap=1 part_to_show=1
    write_images_format=jpg write_video_with_audio write_heatmaps_format=float
    write_coco_json_variants=1 write_coco_json_variant=0 write_keypoint=k write_keypoint_format=yml
    write_bvh=a write_video_3d=a write_video_adam=a udp_host=a udp_port=1
    3d 3d_min_views=1 3d_views=1 identification tracking=1 ik_threads=1 resolution=640x480
    write_pose=k frame_keep_distortion camera_parameter_folder=a
""".split()


HARMLESS_FLAGS = """
    num_gpu=1 num_gpu_start=0 fullscreen no_gui_verbose cli_verbose=1 logging_level=3 disable_multi_thread
    profile_speed=1000
""".split()


@pytest.mark.parametrize("flag", ACCEPTED)
def test_openpose_s_flags_that_make_sense_are_understood(flag: str) -> None:
    more = ["--heatmaps", "h"] if flag.startswith("heatmaps_") else []
    for words in ([f"--{flag}"], f"--{flag}".split("=")):
        parse(multi_parser(), [*words, *more])


@pytest.mark.parametrize("flag", ANSWERED)
def test_openpose_s_other_flags_are_answered_with_what_to_do_instead(flag: str) -> None:
    for words in ([f"--{flag}"], f"--{flag}".split("=")):
        with pytest.raises(UsageError, match=r"is not supported: .{12}"):
            parse(multi_parser(), words)


@pytest.mark.parametrize("flag", HARMLESS_FLAGS)
def test_openpose_s_flags_that_change_nothing_here_are_named_and_ignored(
    flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in ([f"--{flag}"], f"--{flag}".split("="), [f"-{flag}"]):
        assert parse(multi_parser(), ["-i", "a.jpg", *words]).input == ["a.jpg"]
        assert only_line(capsys).startswith(f"--{flag.split('=')[0].replace('_', '-')} is ignored: ")


def test_all_flags_that_are_not_known_are_named_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError) as error:
        parse(multi_parser(), "-i a.jpg --num_gpu 1 --write_bvh a.bvh --jsn o --logging_level 3".split())
    assert "--write-bvh is not supported" in str(error.value)
    assert "unknown option --jsn; did you mean --json" in str(error.value)
    parse(multi_parser(), "-i a.jpg --num_gpu 1 --logging_level 3".split())
    assert only_line(capsys).count("is ignored") == 2


MISSPELT = [("-outptu", "--output"), ("-wirte_json", "--write-json"), ("-modle", "--model")]


@pytest.mark.parametrize(("word", "meant"), MISSPELT)
def test_a_misspelt_option_with_one_dash_is_not_a_short_option_with_its_value(word: str, meant: str) -> None:
    with pytest.raises(UsageError, match=f"unknown option {word}; did you mean {meant}"):
        parse(multi_parser(), ["-i", "a.jpg", word, "b"])


@pytest.mark.parametrize(
    ("word", "meant"),
    [("--save", "--output"), ("--save-video", "--output"), ("--save_json", "--json"), ("--save_images", "--images")],
)
def test_saving_is_the_option_that_writes(word: str, meant: str) -> None:
    with pytest.raises(UsageError, match=rf"^unknown option {word.replace('_', '-')}; did you mean {meant}\?"):
        parse(multi_parser(), ["-i", "a.jpg", word, "b"])


@pytest.mark.parametrize("value", ["9" * 20, "-" + "9" * 20, "9" * 5000, "1.5", "many"])
@pytest.mark.parametrize("flag", ["--first", "--last", "--step", "--stages", "--scale-number"])
def test_a_number_that_is_not_whole_or_too_large_is_one_short_line(flag: str, value: str) -> None:
    with pytest.raises(UsageError, match=rf"^{flag}: .{{1,40}} is not a whole number of at most 2147483647"):
        parse(multi_parser(), ["-i", "a.jpg", f"{flag}={value}"])


@pytest.mark.parametrize("digits", [10, 300, 5000])
def test_an_input_of_many_digits_is_a_file_not_a_camera(digits: int) -> None:
    (source,) = find_sources(["9" * digits], Selection())
    assert isinstance(source, Picture)


def test_a_short_option_may_have_its_value_attached() -> None:
    options = parsed("-ia.jpg", "-oresult.png", "-mlight_hand")
    assert (options.input, options.output, options.model) == (["a.jpg"], "result.png", "light_hand")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--from-body --box 1,2,3,4", "--box is for one hand"),
        ("--from-body --left", "--left is for one hand"),
        ("--from-body --heatmaps h", "--heatmaps is for one hand"),
        ("--body-model coco", "needs --from-body"),
        ("--box 1,2,3,4 --keypoint-scale net", "image, unit or signed"),
        ("--hand-scales 3 --keypoint-scale net", "image, unit or signed"),
        ("--box 1,2,3,4 --box 5,6,7,8 --heatmaps h", "give one --box"),
        ("--hand-merge median", "best"),
    ],
)
def test_what_contradicts_itself_in_finding_hands_is_a_mistake(
    words: str, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run_hand([*PAIR, "-i", "a.png", *words.split()]) == 2
    assert expected in only_line(capsys)


def test_a_display_that_is_on_changes_nothing() -> None:
    assert not parsed("--display", "-1").no_show


def test_values_keep_their_underscores() -> None:
    assert parsed("--image_file=my_photo.jpg", "--write_json", "my_folder").input == ["my_photo.jpg"]


@pytest.mark.parametrize("script", SCRIPTS)
def test_shared_options_are_spelt_the_same_everywhere(script: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        SCRIPTS[script](["--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    shared = (
        "--prototxt", "--model", "--input", "--net-size", "--threshold", "--skeleton", "--scale", "--mean", "--swap-rb",
        "--device", "--alpha", "--no-show", "--verbose", "--version",
    )  # fmt: skip
    assert [option for option in shared if option not in text] == []
    assert f"default: {drawing.ALPHA}" in text


def test_the_version_names_what_it_stands_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run_pose(["--version"]) == 0
    assert capsys.readouterr().out.startswith("posecv ")


# --- mistakes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--inptu a.jpg", "--input"),
        ("--treshold 1", "--threshold"),
        ("--netsize 368", "--net-size"),
        ("--write-jsno x", "--write-json"),
        ("--image_dir d --write_images o --tracking 1", "--tracking"),
        ("--heatmaps-of nose", "--heatmaps FOLDER"),
        ("--keypoint-scale 5", "image, net, unit, signed"),
        ("--camera-size 640", "1280x720"),
        ("--labels all", "name"),
        ("stray.jpg", "-i"),
        ("-i a.jpg -- stray.jpg", "-i"),
        ("--threshold high", "'high' is not a number"),
        ("--threshold nan", "'nan' is not a finite number"),
        ("--alpha 2", "between 0 and 1"),
        ("--mean 1,2", "neither one number nor three"),
        ("--device tpu", "cuda-fp16"),
        ("--input", "expected at least one"),
        ("--in a.jpg", "unknown option --in"),  # nothing is abbreviated
    ],
)
def test_a_mistake_is_one_line_that_names_the_way_out(
    words: str, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run_multi_pose(words.split()) == 2
    assert expected in only_line(capsys)


@pytest.mark.parametrize(
    "box", ["1,2,3", "1,2,0,4", "1,2,3,left", "1,2,3,4,up", "1,2,3,-4", "a,b,c,d", "100x80x200x200"]
)
def test_a_box_that_is_none_is_a_mistake(box: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run_hand([*PAIR, "-i", "a.png", "--box", box]) == 2
    assert "not x,y,width,height in pixels" in only_line(capsys)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "no input"),
        (["-i", "a.png", "-p", "pose.prototxt"], "-m FILE.caffemodel"),
        ([*PAIR, "-i", "a.png", "--net-size", "-1x370"], "368"),
        ([*PAIR, "-i", "a.png", "--net-size", "large"], "-1x368"),
        ([*PAIR, "-i", "a.png", "--face", "--face-net-size", "100"], "--face-net-size 100: 100 is"),
        ([*PAIR, "-i", "a.png", "-o", "a.json"], "--output"),
        ([*PAIR, "-i", "a.png", "--json", "a.png"], "--json"),
        ([*PAIR, "-i", "a.png", "b.png", "-o", "c.png"], "2 inputs"),
        ([*PAIR, "-i", "a.png", "b.png", "--json", "c.json"], "2 inputs"),
        ([*PAIR, "-i", ""], "no input"),
        ([*PAIR, "-i", "a.png", "-o", ""], "--output"),
        ([*PAIR, "-i", "none.png", "-o", "out", "--json", "records/deep"], "none.png: no such file"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_read_or_written(
    words: list[str],
    expected: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.run_multi_pose(words) == 2
    assert expected in only_line(capsys)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("script", SCRIPTS)
def test_without_a_network_the_line_names_the_ways_to_one(
    run_script: RunScript, bare_checkout: Path, script: str
) -> None:
    result = run_script(str(bare_checkout / f"{script}.py"), "-i", "0")
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    fetched = "hand" if script == "run_hand" else "coco"
    assert all(word in line for word in ("-p FILE", "-m FILE", "--model NAME", f"./getModels.sh {fetched} "))


def test_a_mistake_is_one_line_whatever_names_hold(
    picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["-p", "of two\nlines.prototxt", "-m", "pose.caffemodel", "-i", str(picture), "--json", str(picture.parent)]
    assert cli.run_multi_pose(words) == 2
    assert "of two lines.prototxt: no such file" in only_line(capsys)


@pytest.mark.parametrize("script", ["run_multi_pose", "webcam_pose"])
def test_maps_that_a_network_does_not_have_are_a_mistake(
    script: str, coco: Pair, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = walking.film(tmp_path / "a.avi", 2)
    words = walking.words(coco, "-i", source, "--no-show", "--heatmaps", tmp_path / "maps", "--heatmaps-of", "tail")
    assert SCRIPTS[script](words) == 2
    assert "--heatmaps-of tail: coco has no map of this name" in only_line(capsys)
    assert not (tmp_path / "maps").exists()


@pytest.mark.parametrize("words", [["run_pose.py", *PAIR, "-i", "a.png"], ["webcam_pose.py", *PAIR]])
def test_an_opencv_that_will_not_do_is_one_line(run_script: RunScript, tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "old" / "cv2").mkdir(parents=True)
    (tmp_path / "old" / "cv2" / "__init__.py").write_text('__version__ = "4.7.0"')
    result = run_script(*words, env={"PYTHONPATH": str(tmp_path / "old")})
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"{words[0]}: OpenCV 4.7.0 is too old: ")


# --- hands where arms end -------------------------------------------------------------------------------------------


def run_with(config: RunConfig, estimator: Estimator, *more: Output) -> int:
    """Make of the inputs what is asked for, with another estimator; `more` outputs get the results too."""
    sources = find_sources(config.inputs, config.selection)
    plans = plan_outputs(config.places, config.outputs, sources)
    jobs = [Job(source, (*plan.outputs, *more), plan.told) for source, plan in zip(sources, plans, strict=True)]
    return pipeline.run(jobs, estimator)


def silent(_network: Network) -> None:
    """Says nothing about a network that is loaded."""


def test_the_hands_of_a_body_are_told_as_the_sides_that_they_are(
    coco: Pair, hand_pair: Pair, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A body that is known stretches its left arm to where a mirrored hand is painted."""
    places = {"left_shoulder": (509, 200), "left_elbow": (459, 200), "left_wrist": (299, 200)}
    body = people_at({COCO.keypoints.index(name): place for name, place in places.items()})
    hand = standing_person(HAND, 305, 150)
    frame = np.ascontiguousarray(paint_person(black(600, 400), hand, HAND)[:, ::-1])
    cv2.imwrite(str(tmp_path / "a.png"), frame)
    words = ["-p", str(hand_pair[0]), "-m", str(hand_pair[1]), "-i", str(tmp_path / "a.png"), "--net-size", "240x240"]
    words += ["--from-body", "--body-model", ",".join(map(str, coco)), "--json", str(tmp_path / "a.json")]
    config = hand_config(parse(hand_parser(), words))
    assert isinstance(config.estimator, HandsAlong)
    asked = config.estimator.build(silent)
    assert isinstance(asked, HandsOfBodies)
    assert asked.bodies.skeleton == COCO
    assert run_with(config, replace(asked, bodies=Finds(body))) == 0
    assert "1 hand, 21 keypoints" in only_line(capsys)
    (found,) = json.loads((tmp_path / "a.json").read_text())["people"]
    left = np.array(found["hand_left_keypoints_2d"]).reshape(21, 3)
    np.testing.assert_allclose(left[:, :2], np.column_stack([599 - hand[:, 0], hand[:, 1]]), atol=1.5)
    assert found["hand_right_keypoints_2d"] == found["pose_keypoints_2d"] == []
    assert cli.run_hand(words) == 0
    capsys.readouterr()
    words[words.index("--body-model") + 1] = ",".join(map(str, hand_pair))
    assert cli.run_hand(words) == 2
    assert "cannot find their arms" in only_line(capsys)


@pytest.mark.parametrize(
    ("words", "kept"),
    [("--json a.json", False), ("--json a.json --keypoint-scale net", True), ("--heatmaps maps", True)],
)
def test_results_keep_the_maps_that_people_were_found_in_only_for_outputs_that_want_them(
    words: str, kept: bool, coco: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cv2.imwrite("a.png", black(64, 64))
    given = ["-p", str(coco[0]), "-m", str(coco[1]), "-i", "a.png", "--net-size", "64", *words.split()]
    config, sink = many_config(parse(multi_parser(), given)), Sink()
    assert run_with(config, config.estimator.build(silent), sink) == 0
    assert [result.view is not None for result in sink.results] == [kept]


def test_maximized_constants_reach_the_decoder_and_keep_the_model_s_others(coco: Pair, picture: Path) -> None:
    words = ["-p", str(coco[0]), "-m", str(coco[1]), "-i", str(picture), "--json", str(picture.parent)]
    words += ["--net-size", "64", "--maximize_positives", "--scale-number", "3", "--scale-gap", "0.1"]
    everybody = many_config(parse(multi_parser(), words)).estimator.build(silent)
    assert isinstance(everybody, Everybody)
    assert (everybody.scale_number, everybody.scale_gap) == (3, 0.1)
    assert everybody.thresholds == replace(
        everybody.network.model.thresholds,
        nms_threshold=0.02, inter_threshold=0.01, inter_min_above=0.75, min_subset_cnt=2, min_subset_score=0.05,
    )  # fmt: skip
    assert cli.run_multi_pose(words) == 0


def test_a_camera_is_asked_for_a_size_and_a_rate() -> None:
    (camera,) = find_sources(["3"], Selection(), camera_size=(640, 480), camera_rate=15)
    assert camera == Camera(3, Selection(), (640, 480), 15)


# --- our own networks -----------------------------------------------------------------------------------------------


@pytest.fixture
def said(run_script: RunScript, checkout: Path, picture: Path) -> Callable[..., list[str]]:
    """What a script says on stderr about a picture, with painted networks under the names of our own."""

    def run(script: str, *words: str, code: int = 0) -> list[str]:
        given = ["-i", str(picture), "--json", str(picture.with_suffix(".json")), "--net-size", "64x64", *words]
        result = run_script(str(checkout / f"{script}.py"), *given)
        assert result.returncode == code, result.stderr
        return result.stderr.splitlines()

    return run


@pytest.mark.parametrize(
    ("script", "name"), [("run_pose", "light_body"), ("run_multi_pose", "light_body"), ("run_hand", "light_hand")]
)
def test_where_no_network_is_named_our_own_runs(said: Callable[..., list[str]], script: str, name: str) -> None:
    assert any(line.startswith(f"network {name} (") for line in said(script, "-v"))


def test_a_name_picks_another_network(said: Callable[..., list[str]]) -> None:
    assert said("run_multi_pose", "--model", "Light-Body-Large", "-v")[0].startswith("network light_body_large (")


def test_a_name_that_nobody_knows_is_one_line_with_the_nearest(said: Callable[..., list[str]]) -> None:
    (line,) = said("run_multi_pose", "--model", "light_bdy", code=2)
    assert "no model is called 'light_bdy'; did you mean light_body" in line


def test_a_network_that_is_not_for_any_use_says_so_in_one_line(said: Callable[..., list[str]], picture: Path) -> None:
    notice, *pictures = said("run_hand", "-i", str(picture), str(picture))
    assert notice == "light_hand: for research use only (Apache-2.0)"
    assert all(line.startswith(f"{picture}: ") for line in pictures)


def test_a_network_for_any_use_says_nothing_about_it(said: Callable[..., list[str]], picture: Path) -> None:
    (line,) = said("run_multi_pose")
    assert line.startswith(f"{picture}: nobody")


# --- the pipeline's exit codes --------------------------------------------------------------------------------------


NOBODY = Finds(seconds={"network": 0.25, "decoding": 0.0015})


def job(path: Path, *outputs: Output, files: tuple[Path, ...] = ()) -> Job:
    return Job(Picture(path, Selection()), outputs, files)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "a.ppm"
    path.write_bytes(b"P6 2 1 255\n" + bytes(6))
    return path


@pytest.mark.parametrize(
    ("inputs", "error", "code"),
    [
        ("good good", None, 0),
        ("good bad", None, 1),
        ("bad bad", None, 2),
        ("good good", OutputError("a.png: disk full"), 1),
        ("good", MemoryError(), 2),
    ],
)
def test_the_exit_code_says_how_much_was_done(
    picture: Path, inputs: str, error: BaseException | None, code: int
) -> None:
    sink = Sink(raising(error) if error else None)
    jobs = [job(picture if word == "good" else picture / "none", sink) for word in inputs.split()]
    assert pipeline.run(jobs, NOBODY) == code
    assert sink.closed


def test_a_line_a_picture_tells_what_was_found_and_the_times(picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pipeline.run([job(picture, files=(Path("out/a_pose.png"),))], NOBODY)
    assert only_line(capsys) == f"{picture}: nobody (network 250.0 ms, decoding 1.5 ms) -> out/a_pose.png"


def test_a_line_about_a_failure_names_the_picture(picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pipeline.run([job(picture)], Finds(before=raising(InputError("the box lies\noutside"))))
    assert only_line(capsys) == f"{picture}: the box lies outside"


def test_too_little_memory_is_said_in_words(picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def huge(frame: Frame) -> None:
        cv2.resize(frame, (1 << 24, 1 << 24))
        raise AssertionError("somebody has 700 TB of memory")

    assert pipeline.run([job(picture)], Finds(before=huge)) == 2
    assert only_line(capsys) == f"{picture}: not enough memory"


def test_a_picture_in_a_window_is_told_about_while_it_is_shown(
    picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline.run([job(picture, Sink(raising(WindowClosed())))], NOBODY)
    assert only_line(capsys).startswith(f"{picture}: nobody")


def test_ctrl_c_says_what_is_done_and_closes_the_outputs(picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, stopped = Sink(), Sink(raising(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        pipeline.run([job(picture, good), job(picture, stopped)], NOBODY)
    assert "stopped: 1 of 2 images done" in capsys.readouterr().err
    assert good.closed
    assert stopped.closed


def test_closing_the_window_ends_a_run_and_is_no_failure(picture: Path) -> None:
    later = Sink()
    jobs = [job(picture, Sink(raising(WindowClosed()))), job(picture, later)]
    assert pipeline.run(jobs, NOBODY) == 0
    assert later.results == []


def on_a_terminal(jobs: Sequence[Job], estimator: Estimator) -> tuple[int, str]:
    """The exit code of a run before a terminal, and what it writes there."""
    with redirect_stderr(Terminal()) as terminal:
        return pipeline.run(jobs, estimator, bar=True), terminal.getvalue()


def test_several_pictures_on_a_terminal_have_a_progress_bar(picture: Path) -> None:
    pytest.importorskip("tqdm")
    code, text = on_a_terminal([job(picture)] * 3, NOBODY)
    assert code == 0
    assert "0/3" in text
    assert text.count(f"{picture}: nobody") == 3


def test_what_is_said_about_the_network_stands_above_the_progress_bar(picture: Path) -> None:
    pytest.importorskip("tqdm")
    loading = Finds(before=lambda _: print("for research use only", file=sys.stderr))
    _, text = on_a_terminal([job(picture)] * 2, loading)
    assert text.startswith("for research use only\n")


def test_without_tqdm_there_are_plain_lines(picture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tqdm", None)
    code, text = on_a_terminal([job(picture)] * 3, NOBODY)
    assert code == 0
    assert text.count("\n") == 3


# --- windows, and networks that do not fit ---------------------------------------------------------------------------


@pytest.fixture
def pair(tmp_path: Path, request: pytest.FixtureRequest) -> list[str]:
    prototxt, caffemodel = painted_network(tmp_path, request.param)
    return ["-p", str(prototxt), "-m", str(caffemodel)]


def test_ctrl_c_before_a_camera_ends_with_130(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.guarded(camera_parser(), [], raising(KeyboardInterrupt())) == 130
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("pair", [HAND], indirect=True)
def test_a_hand_network_is_not_for_many_people(
    pair: list[str], picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run_multi_pose([*pair, "-i", str(picture), "--json", str(picture.parent), "--net-size", "64"]) == 2
    assert "run_hand.py" in only_line(capsys)


@pytest.mark.parametrize("pair", [MPI], indirect=True)
def test_a_body_network_is_not_for_hands(pair: list[str], picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run_hand([*pair, "-i", str(picture), "--json", str(picture.parent), "--net-size", "64"]) == 2
    assert "not for hands" in only_line(capsys)


@pytest.mark.parametrize("pair", [MPI], indirect=True)
def test_with_a_display_pictures_are_shown_and_nothing_is_saved(
    pair: list[str], picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(picture.parent)
    with_display(monkeypatch)
    screen = Screen([ord("q")])
    before = set(picture.parent.iterdir())
    assert cli.run_multi_pose([*pair, "-i", str(picture), "--net-size", "64x64"], gui=screen) == 0
    assert [frame.shape for frame in screen.shown] == [(1, 2, 3)]
    assert set(picture.parent.iterdir()) == before


# --- counting, and what is not used ----------------------------------------------------------------------------------


class Clock:
    """A clock that goes on by some seconds at each look."""

    def __init__(self, step: float) -> None:
        self.now, self.step = 0.0, step

    def __call__(self) -> float:
        self.now += self.step
        return self.now


def test_on_a_terminal_frames_are_counted_in_place(capsys: pytest.CaptureFixture[str]) -> None:
    counter = Counter(True, Clock(0.1))
    for _ in range(10):
        counter.update(30)
    counter.clear()
    text = capsys.readouterr().err
    shown = [part.strip() for part in text.split("\r") if part.strip()]
    assert shown
    assert all(re.fullmatch(r"\d+ of 30 frames", part) for part in shown)
    assert text.count("\n") == 0
    assert text.endswith("\r")  # nothing is left of it


def test_elsewhere_a_line_now_and_then_tells_the_number(capsys: pytest.CaptureFixture[str]) -> None:
    counter = Counter(False, Clock(1))
    for _ in range(100):
        counter.update(None)
    lines = capsys.readouterr().err.splitlines()
    assert 2 <= len(lines) <= 4
    numbers = [int(line.removesuffix(" frames")) for line in lines]
    assert numbers == sorted(numbers)


def test_a_line_names_the_hands_and_faces_that_were_found() -> None:
    body = someone(count=2)
    hands, faces = np.zeros((2, 2, 21, 3), np.float32), np.zeros((2, 70, 3), np.float32)
    hands[0, 1, 3] = hands[1, 0, 4] = hands[1, 1, 5] = 1, 1, 0.5
    faces[1, 2] = 1, 1, 0.5
    assert describe(replace(body, hands=hands, faces=faces)).endswith(", 3 hands, 1 face")
    assert describe(replace(body, hands=0 * hands)).endswith(", 0 hands")
    assert "hand" not in describe(body)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--hand-model light_hand", "--hand-model is not used without --hand"),
        ("--face-model a --face-net-size 192x192", "--face-model and --face-net-size are not used without --face"),
        ("--hand --hand-model light_hand", ""),
        ("--hand-scales 3", "--hand-scales is not used without --hand or --face"),
        ("--face --hand-range 0.5", "--hand-range is not used without --hand-scales"),
        ("--face --hand-scales 3 --hand-range 0.5", ""),
        ("--scale-gap 0.3", "--scale-gap is not used without --scale-number"),
        ("--scale-number 2 --scale-gap 0.3", ""),
        ("--json-form body_25 --json-layout folders", "--json-form and --json-layout are not used without --json"),
        ("--keypoint-scale unit -o out", "--keypoint-scale is not used without --json or --csv"),
        ("--keypoint-scale unit --csv out.csv", ""),
        ("--coco-annotations a.json", "--coco-annotations is not used without --coco-json"),
        ("--alpha 0.5 --json out", "--alpha is not used without --output or --images"),
        ("--alpha 0.5 --json out -o out", ""),
        ("--alpha 0.5", ""),
        ("--render_pose 0 --write_json out --display 0", ""),
        ("--camera-size 640x480", "--camera-size is not used without the number of a camera"),
        ("--camera-size 640x480 -i 0", ""),
        ("--box 1,2,3,4 --box 1,2,3,5", "--box is given several times; only the last one counts"),
        ("--box 1,2,3,4 --box 1,2,3,4", ""),
        ("--net-size 128 --net_size 256", "--net-size is given several times; only the last one counts"),
    ],
)
def test_options_that_are_not_used_are_a_line(
    words: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = parse(multi_parser(), ["-i", "a.jpg", *words.split()])
    assert capsys.readouterr().err.strip() == said
    assert options.hand_model == "light_hand"
    assert options.face_model == ("a" if "--face-model" in words else "light_face")
