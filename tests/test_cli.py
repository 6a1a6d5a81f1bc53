"""The command line: spellings, mistakes, exit codes, and the loops that show a camera."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from networks import own_models, painted_network, write_manifest
from posecv import cli, drawing, live, models, opencv, pipeline
from posecv.errors import InputError, OutputError, UsageError
from posecv.outputs.window import Window, WindowClosed
from posecv.people import People
from posecv.skeletons import COCO, HAND, MPI
from posecv.sources import cameras

Frame = NDArray[np.uint8]
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
    return cli._parse(cli._picture_parser(""), words)


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
    parser = cli._picture_parser("")
    parser.add_argument("--box", type=cli._box)
    assert cli._parse(parser, ["--box", "-5,10,100,120"]).box == (-5, 10, 100, 120)


def test_width_and_height_say_the_net_size() -> None:
    assert parsed("--width", "656", "--height", "368").net_size == "656x368"
    assert parsed("--height", "368").net_size == "-1x368"
    assert parsed().net_size is None
    with pytest.raises(UsageError, match="say the same"):
        parsed("--width", "368", "--net-size", "368")


@pytest.mark.parametrize(
    ("pasted", "plain"),
    [
        ("--proto a --model b", "-p a -m b"),
        ("--model_pose BODY_25", "--model BODY_25"),
        ("--image_file a.jpg", "-i a.jpg"),
        ("--imgpath a.jpg b.jpg", "-i a.jpg b.jpg"),
        ("--image=a.jpg", "--input a.jpg"),
        ("--image_dir d --write_images o --write_json j --display 0", "-i d -o o --json j --no-show"),
        ("--image-dir d --write-images o --no_display", "-i d -o o --no-show"),
        ("--thr 0.2 --dataset MPI", "--threshold 0.2 --skeleton MPI"),
        ("--scale 0.003922 --swap_rb", "--scale 0.003922 --swap-rb"),
        ("--device GPU", "--device cuda"),
        ("--device cuda_fp16", "--device cuda-fp16"),
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
    assert f"default {drawing.ALPHA}" in text


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
        ("--video a.mp4", "films are not read yet"),
        ("--camera 0", "webcam_pose.py"),
        ("--image_dir d --write_images o --hand --face", "run_hand.py"),
        ("-i a.jpg --face", "faces are not found along with bodies"),
        ("-i a.jpg --net_resolution 656x368 --scale_number 4 --scale_gap 0.25", "one scale"),
        ("stray.jpg", "-i"),
        ("-i a.jpg -- stray.jpg", "-i"),
        ("--threshold high", "'high' is no number"),
        ("--threshold nan", "'nan' is no finite number"),
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


@pytest.mark.parametrize("option", ["-o", "--json"])
def test_a_camera_is_not_recorded_yet(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.webcam_pose([option, "out"]) == 2
    assert "not recorded yet" in only_line(capsys)


@pytest.mark.parametrize("box", ["1,2,3", "1,2,0,4", "1,2,3,-4", "a,b,c,d", "100x80x200x200"])
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
        ([*PAIR, "-i", "a.png", "-o", "a.json"], "--output"),
        ([*PAIR, "-i", "a.png", "--json", "a.png"], "--json"),
        ([*PAIR, "-i", "a.png", "b.png", "-o", "c.png"], "2 inputs"),
        ([*PAIR, "-i", "a.png", "b.png", "--json", "c.json"], "2 inputs"),
        ([*PAIR, "-i", ""], "no input"),
        ([*PAIR, "-i", "a.png", "-o", ""], "--output"),
        ([*PAIR, "-i", "-"], "standard input is not read"),
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
    script: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_manifest(tmp_path)
    monkeypatch.setattr(models, "_models_folder", lambda: tmp_path)
    assert SCRIPTS[script](["-i", "0"]) == 2
    line = only_line(capsys)
    fetched = "hand" if script == "run_hand" else "coco"
    assert all(word in line for word in ("-p FILE", "-m FILE", "--model NAME", f"./getModels.sh {fetched} "))


def test_an_opencv_that_will_not_do_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opencv, "_require_once", lambda: "OpenCV 4.7.0 is too old")
    assert cli.run_pose([*PAIR, "-i", "a.png"]) == cli.webcam_pose(PAIR) == 2
    assert capsys.readouterr().err.count("OpenCV 4.7.0 is too old\n") == 2


# --- our own networks -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def own_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return own_models(tmp_path_factory.mktemp("models"))


@pytest.fixture
def said(
    own_folder: Path, picture: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., list[str]]:
    """What a script says on stderr about a picture, with painted networks under the names of our own."""
    monkeypatch.setattr(models, "_models_folder", lambda: own_folder)

    def run(script: str, *words: str, code: int = 0) -> list[str]:
        record = str(picture.with_suffix(".json"))
        words = ("-i", str(picture), "--json", record, "--net-size", "64x64", *words)
        assert SCRIPTS[script](list(words)) == code
        return capsys.readouterr().err.splitlines()

    return run


@pytest.mark.parametrize(
    ("script", "name"), [("run_pose", "light_body"), ("run_multi_pose", "light_body"), ("run_hand", "light_hand")]
)
def test_where_no_network_is_named_our_own_runs(said: Callable[..., list[str]], script: str, name: str) -> None:
    assert any(line.startswith(f"network {name} (") for line in said(script, "-v"))


def test_a_camera_is_shown_with_our_own_network_where_none_is_named(
    own_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(models, "_models_folder", lambda: own_folder)
    monkeypatch.setattr(opencv, "why_no_window", lambda: None)
    monkeypatch.setattr(cameras, "open_camera", fake_camera)
    fake_window(monkeypatch, last=1)
    assert cli.webcam_pose(["-i", "2", "--net-size", "64x64", "-v"]) == 0
    assert "network light_body (" in capsys.readouterr().err


def test_a_name_picks_another_network(said: Callable[..., list[str]]) -> None:
    assert said("run_multi_pose", "--model", "Light-Body-Large", "-v")[0].startswith("network light_body_large (")


def test_a_name_that_nobody_knows_is_one_line_with_the_nearest(said: Callable[..., list[str]]) -> None:
    (line,) = said("run_multi_pose", "--model", "light_bdy", code=2)
    assert "no model is called 'light_bdy'; did you mean light_body" in line


def test_a_network_that_is_not_for_any_use_says_so_in_one_line(said: Callable[..., list[str]], picture: Path) -> None:
    notice, *pictures = said("run_hand", "-i", str(picture), str(picture))
    assert notice == "light_hand: research use only (Apache-2.0)"
    assert all(line.startswith(f"{picture}: ") for line in pictures)


def test_a_network_for_any_use_says_nothing_about_it(said: Callable[..., list[str]], picture: Path) -> None:
    (line,) = said("run_multi_pose")
    assert line.startswith(f"{picture}: nobody")


# --- the pipeline's exit codes --------------------------------------------------------------------------------------


class Sink:
    """An output that keeps what it gets, or fails."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error, self.frames, self.closed = error, list[Frame](), False

    def write(self, frame: Frame, people: People) -> None:
        if self.error:
            raise self.error
        self.frames.append(frame)

    def close(self) -> None:
        self.closed = True


def nobody(_frame: Frame, seconds: dict[str, float]) -> People:
    seconds.update(network=0.25, decoding=0.0015)
    return People.empty(COCO)


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
def test_the_exit_code_says_how_much_was_done(picture: Path, inputs: str, error: BaseException, code: int) -> None:
    sink = Sink(error)
    jobs = [pipeline.Job(picture if word == "good" else picture / "none", (sink,)) for word in inputs.split()]
    assert pipeline.run(jobs, nobody) == code
    assert sink.closed


def test_a_line_a_picture_tells_what_was_found_and_the_times(picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pipeline.run([pipeline.Job(picture, (), (Path("out/a_pose.png"),))], nobody)
    assert only_line(capsys) == f"{picture}: nobody (network 250.0 ms, decoding 1.5 ms) -> out/a_pose.png"


def test_a_line_about_a_failure_names_the_picture(picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def outside(_frame: Frame, _seconds: dict[str, float]) -> People:
        raise InputError("the box lies\noutside")

    pipeline.run([pipeline.Job(picture, ())], outside)
    assert only_line(capsys) == f"{picture}: the box lies outside"


def test_too_little_memory_is_said_in_words(picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def huge(frame: Frame, _seconds: dict[str, float]) -> People:
        cv2.resize(frame, (1 << 24, 1 << 24))
        raise AssertionError("somebody has 700 TB of memory")

    assert pipeline.run([pipeline.Job(picture, ())], huge) == 2
    assert only_line(capsys) == f"{picture}: there is not enough memory for it"


def test_a_picture_in_a_window_is_told_about_while_it_is_shown(
    picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline.run([pipeline.Job(picture, (Sink(WindowClosed()),))], nobody)
    assert only_line(capsys).startswith(f"{picture}: nobody")


def test_ctrl_c_says_what_is_done_and_closes_the_outputs(picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, stopped = Sink(), Sink(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        pipeline.run([pipeline.Job(picture, (good,)), pipeline.Job(picture, (stopped,))], nobody)
    assert "stopped: 1 of 2 pictures done" in capsys.readouterr().err
    assert good.closed
    assert stopped.closed


def test_closing_the_window_ends_a_run_and_is_no_failure(picture: Path) -> None:
    later = Sink()
    jobs = [pipeline.Job(picture, (Sink(WindowClosed()),)), pipeline.Job(picture, (later,))]
    assert pipeline.run(jobs, nobody) == 0
    assert later.frames == []


def test_several_pictures_on_a_terminal_have_a_progress_bar(
    picture: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tqdm")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert pipeline.run([pipeline.Job(picture, ())] * 3, nobody, bar=True) == 0
    text = capsys.readouterr().err
    assert "0/3" in text
    assert text.count(f"{picture}: nobody") == 3


def test_what_is_said_about_the_network_stands_above_the_progress_bar(
    picture: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tqdm")

    def loading(frame: Frame, seconds: dict[str, float]) -> People:
        print("research use only", file=sys.stderr)
        return nobody(frame, seconds)

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    pipeline.run([pipeline.Job(picture, ())] * 2, loading, bar=True)
    assert capsys.readouterr().err.startswith("research use only\n")


def test_without_tqdm_there_are_plain_lines(
    picture: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setitem(sys.modules, "tqdm", None)
    assert pipeline.run([pipeline.Job(picture, ())] * 3, nobody, bar=True) == 0
    assert capsys.readouterr().err.count("\n") == 3


# --- the camera -----------------------------------------------------------------------------------------------------


def fake_window(monkeypatch: pytest.MonkeyPatch, last: int) -> list[Frame]:
    """Windows that show into a list and are closed with its frame number `last`."""
    shown: list[Frame] = []

    def pressed(_self: Window, _milliseconds: int) -> bool:
        if len(shown) == last:
            raise WindowClosed
        return False

    monkeypatch.setattr(Window, "show", lambda _self, frame: shown.append(frame))
    monkeypatch.setattr(Window, "pressed", pressed)
    monkeypatch.setattr(Window, "close", lambda _self: shown.append(np.zeros(0, np.uint8)))
    return shown


def endless(frame: Frame) -> Iterator[Frame]:
    while True:
        yield frame


def test_a_live_window_shows_the_frame_rate_until_it_is_closed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = fake_window(monkeypatch, last=3)
    frame = np.zeros((360, 480, 3), np.uint8)
    assert live.show(endless(frame), nobody, Window("posecv")) == 0
    *frames, closing = shown
    assert len(frames) == 3
    assert all(shown[:60, :250].any() and not shown[60:].any() for shown in frames)  # the rate, upper left
    assert closing.size == 0
    assert not frame.any()
    assert "3 frames in" in capsys.readouterr().err


def test_the_rate_is_that_of_the_last_frames() -> None:
    rate = live.Rate()
    assert rate.tick(0.0) == 0
    assert rate.tick(0.5) == 2
    assert [rate.tick(0.5 + 0.1 * step) for step in range(1, 40)][-1] == pytest.approx(10)


@pytest.fixture
def pair(tmp_path: Path, request: pytest.FixtureRequest) -> list[str]:
    prototxt, caffemodel = painted_network(tmp_path, request.param)
    return ["-p", str(prototxt), "-m", str(caffemodel)]


@contextmanager
def fake_camera(index: int) -> Iterator[Iterator[Frame]]:
    assert index == 2
    yield endless(np.zeros((64, 64, 3), np.uint8))


@pytest.mark.parametrize("method", [[], ["--multi"], ["--single"]])
@pytest.mark.parametrize("pair", [MPI], indirect=True)
def test_the_webcam_script_shows_the_camera_that_it_is_told(
    pair: list[str], method: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opencv, "why_no_window", lambda: None)
    monkeypatch.setattr(cameras, "open_camera", fake_camera)
    shown = fake_window(monkeypatch, last=2)
    assert cli.webcam_pose([*pair, "-i", "2", "--net-size", "64x64", *method]) == 0
    assert len(shown) == 3


def test_ctrl_c_before_a_camera_ends_with_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_options: Namespace) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_webcam", interrupted)
    assert cli.webcam_pose([]) == 130
    assert "Traceback" not in capsys.readouterr().err


def test_without_a_display_the_webcam_script_names_no_show(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(opencv, "why_no_window", lambda: "no display")
    assert cli.webcam_pose(PAIR) == 2
    assert "--no-show" in only_line(capsys)


@pytest.mark.parametrize("pair", [HAND], indirect=True)
def test_a_hand_network_is_not_for_many_people(
    pair: list[str], picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run_multi_pose([*pair, "-i", str(picture), "--json", str(picture.parent)]) == 2
    assert "run_hand.py" in only_line(capsys)


@pytest.mark.parametrize("pair", [MPI], indirect=True)
def test_a_body_network_is_not_for_hands(pair: list[str], picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run_hand([*pair, "-i", str(picture), "--json", str(picture.parent)]) == 2
    assert "not for hands" in only_line(capsys)


@pytest.mark.parametrize("pair", [MPI], indirect=True)
def test_with_a_display_pictures_are_shown_and_nothing_is_saved(
    pair: list[str], picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(picture.parent)
    monkeypatch.setattr(opencv, "why_no_window", lambda: None)
    before = set(picture.parent.iterdir())
    shown = fake_window(monkeypatch, last=1)
    assert cli.run_multi_pose([*pair, "-i", str(picture), "--net-size", "64x64"]) == 0
    assert shown[0].shape == (1, 2, 3)
    assert set(picture.parent.iterdir()) == before
