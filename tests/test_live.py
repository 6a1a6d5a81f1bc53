"""The live demo: controls, rates, the newest frame's way through the threads, what is shown, saved and recorded."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from queue import Queue
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from figures import Screen as Gui
from figures import Sink, raising, with_display, without_display
from networks import paint_person, painted_network, standing_person
from posecv import opencv
from posecv.app import scripts
from posecv.drawing.maps import add_heat
from posecv.drawing.rate import Rate
from posecv.drawing.style import Style
from posecv.errors import InputError, OutputError, UsageError
from posecv.geometry import Fit, NetSize
from posecv.live import view
from posecv.live.camera import as_camera
from posecv.live.controls import CONTROLS, KEYS, Controls, State, stepped
from posecv.live.display import Display
from posecv.live.latest import Latest
from posecv.live.scribe import Recorder, Scribe, Steady
from posecv.live.session import Found, Rates, Session, Shot
from posecv.outputs.window import WindowClosed
from posecv.people import People
from posecv.result import Result, View
from posecv.skeletons import COCO, HAND, MPI
from posecv.sources import Still
from posecv.sources.films import Film
from posecv.sources.pictures import read_picture

Array = NDArray[np.float32]
Frame = NDArray[np.uint8]

PATIENCE = 20.0  # seconds after which a test fails that waits for what has to come
NOBODY = People.empty(COCO)
PLAIN = State("-1x368")
CLIP = Path("clip.avi")
PLAINLY = Style()


def shade(value: int) -> Frame:
    return np.full((48, 64, 3), value, np.uint8)


def still(number: int, time: float = 0.0, rate: float = 0.0) -> Still:
    return Still(shade(number), CLIP, number, time, rate)


def nobody(number: int, time: float = 0.0, rate: float = 0.0) -> Result:
    """The result of such a still."""
    return Result(NOBODY, shade(number), CLIP, number, time, rate)


# --- the controls -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "changed"),
    [
        ("pause", {"paused": True}),
        ("mirror", {"mirrored": True}),
        ("heatmaps", {"heatmaps": True}),
        ("record", {"recording": True}),
        ("help", {"help": True}),
        ("single", {"single": True}),
        ("multi", {}),
        ("larger", {"net_size": "-1x416"}),
        ("smaller", {"net_size": "-1x320"}),
        ("save", {"saves": 1}),
        ("quit", {"ended": True}),
    ],
)
def test_each_control_changes_one_thing(action: str, changed: dict[str, Any]) -> None:
    controls = Controls(PLAIN)
    assert controls.do(action) == controls.state == replace(PLAIN, **changed)
    assert controls.version == len(changed)


def test_what_is_turned_on_is_turned_off_by_the_same_control() -> None:
    for control in CONTROLS:
        if control.toggles:
            controls = Controls(PLAIN)
            controls.do(control.action)
            assert controls.do(control.action) == PLAIN


def test_keys_do_what_their_controls_do_and_others_nothing() -> None:
    for key, action in KEYS.items():
        by_key, by_name = Controls(PLAIN), Controls(PLAIN)
        by_key.press(key)
        assert by_key.state == by_name.do(action)
    controls = Controls(PLAIN)
    for key in ("", "x", "Q", "R", "S", "T"):  # OpenCV's arrow keys are capital Q, R, S and T
        controls.press(key)
    assert controls.state == PLAIN


def test_no_key_has_two_meanings() -> None:
    assert len(KEYS) == sum(len(control.keys) for control in CONTROLS)


def test_a_control_that_is_none_says_which_there_are() -> None:
    with pytest.raises(UsageError, match=r"unknown action 'dance'; choose one of pause, save"):
        Controls(PLAIN).do("dance")


def test_a_network_that_cannot_tell_people_apart_stays_with_one() -> None:
    controls = Controls(replace(PLAIN, single=True), can_multi=False)
    assert controls.do("multi").single
    assert "cannot tell people apart" in controls.state.notice


def test_a_network_without_maps_of_the_frame_shows_people_on() -> None:
    controls = Controls(PLAIN, has_maps=False)
    assert not controls.do("heatmaps").heatmaps
    assert "no heatmaps of the whole frame" in controls.state.notice


@pytest.mark.parametrize("size", ["-1x368", "368x-1", "656x368", "368", "128x128"])
def test_net_sizes_change_in_steps_that_lead_back_within_bounds(size: str) -> None:
    assert stepped(stepped(size, 48), -48) == size
    for step in (48, -48):
        last = size
        for _ in range(40):
            NetSize.parse(last)  # raises for what is no multiple of 16
            last = stepped(last, step)
        assert stepped(last, step) == last
        assert 80 <= min(abs(int(side)) for side in last.split("x") if side != "-1") <= 1104


def test_waiting_for_a_state_ends_when_another_thread_sets_it() -> None:
    controls = Controls(PLAIN)
    threading.Thread(target=controls.do, args=("pause",), daemon=True).start()
    assert controls.wait(lambda state: state.paused, PATIENCE)
    assert not controls.wait(lambda state: state.ended, 0)


# --- the newest -------------------------------------------------------------------------------------------------------


def test_who_asks_late_gets_the_newest_alone() -> None:
    latest: Latest[int] = Latest()
    assert latest.after(0, 0) == (0, None)
    for item in (10, 11, 12):
        latest.put(item)
    assert latest.after(0, 0) == latest.after(2, 0) == (3, 12)


def test_who_asks_early_gets_the_next_as_it_comes() -> None:
    latest: Latest[int] = Latest()
    got: Queue[tuple[int, int | None]] = Queue()
    latest.put(1)
    threading.Thread(target=lambda: got.put(latest.after(1, PATIENCE)), daemon=True).start()
    latest.put(2)
    assert got.get(timeout=PATIENCE) == (2, 2)


def test_the_rate_is_that_of_the_last_arrivals_and_falls_in_silence() -> None:
    rate = Rate()
    for step in range(40):
        rate.tick(step * (1.0 if step < 20 else 0.1) + (0 if step < 20 else 18))
    assert rate.at(21.9) == pytest.approx(10)
    assert rate.at(21.9 + 31) < 0.5


# --- a film as a camera -----------------------------------------------------------------------------------------------


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """Three frames of 10 a second."""
    path = tmp_path / "film.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for value in (50, 100, 150):
        writer.write(shade(value))
    writer.release()
    return path


def test_a_film_comes_at_its_own_rate_and_goes_on_from_its_beginning(film: Path) -> None:
    waits: list[float] = []
    stills = as_camera(Film(film), waits.append, again=True, clock=lambda: 0.0)
    taken = [next(stills) for _ in range(7)]
    assert [each.number for each in taken] == list(range(7))
    assert [each.time for each in taken] == pytest.approx([number / 10 for number in range(7)], abs=1e-6)
    assert [round(float(each.frame.mean()), -1) for each in taken[:4]] == [50, 100, 150, 50]
    assert waits == pytest.approx([number / 10 for number in range(7)])  # as the clock stands still


def test_a_film_that_was_late_makes_up_for_little_and_goes_on_at_its_rate(film: Path) -> None:
    waits: list[float] = []
    times = iter([0.0, 0.0, 5.0, 5.0, 5.0, 5.0])  # the second frame comes 4.9 s late
    list(zip(range(5), as_camera(Film(film), waits.append, again=True, clock=lambda: next(times)), strict=False))
    assert waits == pytest.approx([0, 0, 0, 0.1, 0.2])


def test_a_film_that_is_not_repeated_ends(film: Path) -> None:
    assert len(list(as_camera(Film(film), lambda _seconds: None, again=False))) == 3


# --- the session ------------------------------------------------------------------------------------------------------


class Fed:
    """A camera that gives what it is fed, and ends with None or an error."""

    path, live, has_frames = Path("camera_0"), True, True

    def __init__(self) -> None:
        self.food: Queue[Still | Exception | None] = Queue()
        self.asked, self.asks = threading.Condition(), 0

    def expected(self) -> None:
        return None

    def stills(self) -> Iterator[Still]:
        while (item := self._next()) is not None:
            if isinstance(item, Exception):
                raise item
            yield item

    def _next(self) -> Still | Exception | None:
        with self.asked:
            self.asks += 1
            self.asked.notify_all()
        return self.food.get(timeout=PATIENCE)

    def wait_until_hungry(self, meals: int) -> None:
        """Wait until so many stills were taken and done with."""
        with self.asked:
            assert self.asked.wait_for(lambda: self.asks == meals + 1, PATIENCE)


class Finder:
    """Finds nobody, when it is let; keeps what it is asked."""

    def __init__(self) -> None:
        self.asked: Queue[tuple[int, bool, str]] = Queue()
        self.let = threading.Semaphore(0)

    skeleton = COCO

    def __call__(self, frame: Frame, before: Result | None = None, **overrides: Any) -> Result:
        self.asked.put((int(frame[0, 0, 0]), overrides.pop("single"), overrides.pop("net_size")))
        assert not overrides
        assert self.let.acquire(timeout=PATIENCE)
        maps = np.zeros((COCO.channels, 6, 8), np.float32)
        maps[3, 2, 5] = 0.5
        return Result(NOBODY, frame, view=View(maps, Fit(64, 48, 1.0)))


class Running:
    """A session with a fed camera and a finder, and its controls."""

    def __init__(self, scribe: Scribe | None = None) -> None:
        self.camera, self.finder, self.controls = Fed(), Finder(), Controls(PLAIN)
        self.session = Session(self.camera, self.finder, self.controls, scribe=scribe)
        self.session.start()

    def feed(self, *values: int) -> None:
        """Give frames, and wait until they have come."""
        before = self.session.shots.now()[0]
        for value in values:
            self.camera.food.put(still(value))
        assert self.controls.wait(lambda _: self.session.shots.now()[0] == before + len(values), PATIENCE)

    def asked(self) -> tuple[int, bool, str]:
        return self.finder.asked.get(timeout=PATIENCE)

    def find(self) -> None:
        """Let the finder come back with what it was asked."""
        before = self.session.found.now()[0]
        self.finder.let.release()
        assert self.controls.wait(lambda _: self.session.found.now()[0] == before + 1, PATIENCE)

    def end(self) -> None:
        self.camera.food.put(None)
        self.finder.let.release(10)
        self.session.stop()


@pytest.fixture
def running() -> Iterator[Running]:
    run = Running()
    yield run
    run.end()


def test_a_slow_network_gets_the_newest_frame_and_never_those_before_it(running: Running) -> None:
    running.feed(1)
    assert running.asked()[0] == 1
    running.feed(2, 3, 4)  # while the network is busy
    running.find()
    assert running.asked()[0] == 4
    running.find()
    assert running.finder.asked.empty()  # a frame is looked at once
    shot = running.session.shots.now()[1]
    found = running.session.found.now()[1]
    assert found
    assert found.shot is shot
    assert running.session.rates().network > 0


def test_a_pause_stops_the_picture_and_another_way_to_look_looks_again(running: Running) -> None:
    running.feed(1)
    assert running.asked() == (1, False, "-1x368")
    running.find()
    running.controls.do("pause")
    running.camera.food.put(still(2))  # is not seen
    running.camera.wait_until_hungry(2)
    running.controls.do("single")
    assert running.asked() == (1, True, "-1x368")
    running.find()
    running.controls.do("larger")
    assert running.asked() == (1, True, "-1x416")
    running.find()
    running.controls.do("heatmaps")  # what is known is shown in another way
    assert running.finder.asked.empty()
    assert running.session.shots.now()[0] == 1
    running.controls.do("pause")
    running.feed(3)
    assert running.asked() == (3, True, "-1x416")


def test_people_of_an_older_frame_are_no_reason_to_draw_the_newest_again(running: Running) -> None:
    running.feed(1)
    running.asked()
    running.feed(2)
    before = running.session.picture_version()
    running.find()
    assert running.session.picture_version() == before
    running.asked()
    running.find()
    assert running.session.picture_version() != before


def test_a_record_is_written_for_each_frame_that_the_network_saw_once() -> None:
    sink = Sink()
    run = Running(Scribe([sink], lambda _error: None))
    run.feed(1)
    run.asked()
    run.feed(2, 3)
    run.find()
    run.asked()
    run.find()
    run.controls.do("larger")
    run.asked()
    run.find()
    run.end()
    assert shades(sink) == [1, 3]
    assert sink.closed


def test_a_camera_that_breaks_ends_the_session_with_its_words() -> None:
    run = Running()
    run.camera.food.put(InputError("camera 0 delivers no frames"))
    assert run.controls.wait(lambda state: state.ended, PATIENCE)
    run.end()
    assert str(run.session.failure) == "camera 0 delivers no frames"


# --- what is written --------------------------------------------------------------------------------------------------


def shades(sink: Sink) -> list[int]:
    """What the frames of its results show."""
    return [int(each.frame[0, 0, 0]) for each in sink.results if each.frame is not None]


@pytest.mark.parametrize(
    ("times", "shown"),
    [
        ([0, 0.5, 1.0], [0, 0, 1, 1, 2]),  # a slow network: each is held until the next comes
        ([5, 5.1, 5.2, 5.3, 5.45], [0, 2, 4]),  # a fast camera: some are left out
        ([0, 0.25, 60, 60.25], [0, 1, 2, 3]),  # a pause is left out
        ([3, 3.25, 0, 0.25], [0, 1, 2, 3]),  # a clock that begins again
    ],
)
def test_a_film_of_what_comes_unevenly_lasts_as_long_as_it(times: list[float], shown: list[int]) -> None:
    sink = Sink()
    steady = Steady(sink)
    for number, time in enumerate(times):
        steady.write(nobody(number, time, rate=4))
    assert shades(sink) == shown
    assert {(each.number, each.rate) for each in sink.results} == {(None, 4)}


def test_an_output_that_fails_is_said_once_and_the_others_go_on() -> None:
    failures: list[str] = []
    broken, sink = Sink(raising(OutputError("disk full"))), Sink()
    scribe = Scribe([broken, sink], lambda error: failures.append(str(error)))
    for number in range(3):
        scribe.write(nobody(number))
    scribe.finish()
    scribe.join()
    assert failures == ["disk full"]
    assert broken.closed
    assert not scribe.is_whole
    assert shades(sink) == [0, 1, 2]


@pytest.fixture
def recorder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    monkeypatch.chdir(tmp_path)
    return Recorder(Controls(PLAIN), Path("demo.avi"), None)


def frames_of(path: Path) -> list[Frame]:
    return [each.frame for each in Film(path).stills()]


def test_recordings_follow_one_another_under_names_of_their_own(recorder: Recorder) -> None:
    for values in ((10, 20, 30), (40, 50)):
        for place, value in enumerate(values):
            recorder.record(nobody(value, place / 10, rate=10))
        recorder.stop()
    recorder.close()
    assert [round(float(frame.mean()), -1) for frame in frames_of(Path("demo.avi"))] == [10, 20, 30]
    assert len(frames_of(Path("demo-2.avi"))) == 2
    assert recorder.failures == 0


def test_saved_pictures_never_replace_each_other(recorder: Recorder) -> None:
    for value in (1, 2, 3):
        recorder.save(nobody(value))
    recorder.close()
    pictures = sorted(Path().glob("posecv_*.png"))
    assert sorted(int(read_picture(path)[0, 0, 0]) for path in pictures) == [1, 2, 3]
    records = [json.loads(path.read_text()) for path in Path().glob("posecv_*_keypoints.json")]
    assert [record["people"] for record in records] == [[], [], []]


def test_a_recording_that_fails_is_ended_and_said(
    recorder: Recorder, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("demo.part.avi").mkdir()
    controls = recorder._controls
    controls.do("record")
    recorder.record(nobody(1))
    assert controls.wait(lambda state: not state.recording, PATIENCE)
    recorder.close()
    assert recorder.failures == 1
    assert "demo.part.avi" in controls.state.notice
    assert "ended" not in capsys.readouterr().err


# --- the picture ------------------------------------------------------------------------------------------------------


def test_heat_lies_where_its_keypoint_is_and_nowhere_else() -> None:
    frame = shade(60)
    fit = Fit.of_frame(frame, NetSize.parse("96x128"))
    heat = np.zeros((16, 12), np.float32)
    heat[4, 9] = 1
    x, y = np.rint(fit.to_frame(np.array([9, 4], np.float32))).astype(int)
    drawn = add_heat(frame, View(np.stack([heat / 2, heat, 1 - heat]), fit), 2)
    assert drawn[y, x].max() > 200
    away = np.hypot(*(np.mgrid[:48, :64] - np.array([y, x])[:, None, None])) > 8 / fit.scale * 1.5
    assert (drawn[away] == 60).all()
    assert (frame == 60).all()


def found_person(frame: Frame) -> Found:
    """Somebody in a frame, with heat all over."""
    keypoints = np.zeros((1, 18, 3), np.float32)
    keypoints[0, :, :2] = np.linspace(10, 40, 36).reshape(18, 2)
    keypoints[..., 2] = 1
    seen = View(np.ones((COCO.channels, 6, 8), np.float32), Fit(64, 48, 1.0))
    people = People(keypoints, np.ones(1, np.float32), COCO)
    return Found(Shot(Still(frame, CLIP, 7), 0.0), Result(people, frame, CLIP, 7, view=seen), 0.1)


def test_the_mirror_turns_the_picture_and_not_who_is_found() -> None:
    frame = shade(60)
    found = found_person(frame)
    plain = view.picture(frame, found, PLAIN, Style())
    mirrored = view.picture(frame, found, replace(PLAIN, mirrored=True), Style())
    assert (plain != frame).any()
    np.testing.assert_array_equal(mirrored, plain[:, ::-1])


def test_heatmaps_take_the_place_of_the_skeletons() -> None:
    frame = shade(60)
    found = found_person(frame)
    heated = view.picture(frame, found, replace(PLAIN, heatmaps=True), Style())
    assert found.result.view
    np.testing.assert_array_equal(heated, add_heat(frame, found.result.view, 18))


def test_before_anybody_is_found_the_frame_is_shown_as_it_is() -> None:
    np.testing.assert_array_equal(view.picture(shade(60), None, PLAIN, Style()), shade(60))


def test_the_line_above_tells_rates_and_state() -> None:
    line = view.facts(Rates(29.7, 8.04, 0.1234), replace(PLAIN, recording=True))
    assert line.split("   ") == ["camera 30/s", "network 8.0/s", "latency 123 ms", "-1x368", "REC"]


@pytest.mark.parametrize("size", [(48, 64), (360, 480), (720, 1280), (1, 1)])
def test_writing_stays_in_its_band_and_fits_any_picture(size: tuple[int, int]) -> None:
    shown = np.full((*size, 3), 200, np.uint8)
    view.write_lines(shown, ["a line of some forty letters, all told"])
    changed = (shown != 200).any(axis=(1, 2))
    tall = int(changed.sum())
    assert changed[:tall].all()
    assert tall <= max(24, size[0] / 15)
    view.write_help(shown)


# --- the display ------------------------------------------------------------------------------------------------------


class Screen:
    """A window that keeps what is shown, and gives a key after each picture."""

    def __init__(self, press: Callable[[int], str]) -> None:
        self.shown: list[Frame] = []
        self._press, self._pressed = press, 0
        self.closed = False

    def show(self, frame: Frame) -> None:
        self.shown.append(frame)

    def key(self, _milliseconds: int) -> str:
        if self._pressed == len(self.shown):
            return ""
        self._pressed = len(self.shown)
        return self._press(self._pressed)

    def close(self) -> None:
        self.closed = True


def show(run: Running, press: Callable[[int], str], style: Style = PLAINLY) -> Screen:
    """Show a session in a window until a key ends it."""
    screen = Screen(press)
    recorder = Recorder(run.controls, None, None)
    Display(run.session, run.controls, style, recorder, window=screen).run()  # type: ignore[arg-type]
    recorder.close()
    return screen


def test_the_picture_goes_on_while_the_network_is_busy(running: Running) -> None:
    running.feed(10)

    def press(shown: int) -> str:
        running.camera.food.put(still(10 * (shown + 1)))
        return "q" if shown == 5 else ""

    screen = show(running, press)
    assert running.session.found.now() == (0, None)  # it still looks at the first one
    assert [int(frame[-1, -1, 0]) for frame in screen.shown] == [10, 20, 30, 40, 50]
    assert (screen.shown[0][:12] != 10).any()  # the rates, above


@dataclass(frozen=True)
class Noting(Style):
    """Draws nothing, and notes what frame which frame's people are to be drawn on."""

    drawings: list[tuple[int, int]] = field(default_factory=list)

    def drawn(self, result: Result) -> Frame:
        assert result.frame is not None
        assert result.number is not None
        self.drawings.append((int(result.frame[0, 0, 0]), result.number))
        return result.frame.copy()


def test_people_are_shown_an_inference_and_a_frame_after_theirs(running: Running) -> None:
    """Time is counted in the camera's frames; an inference takes four."""
    inference, style = 4, Noting()

    def press(shown: int) -> str:
        if shown == asked[-1] + inference:
            running.find()
            asked.append(running.asked()[0])
        running.camera.food.put(still(shown + 1))
        return "q" if shown == 15 else ""

    running.feed(1)
    asked = [running.asked()[0]]
    screen = show(running, press, style)
    assert asked == [1, 5, 9, 13]  # always the newest
    assert [int(frame[-1, -1, 0]) for frame in screen.shown] == list(range(1, 16))
    first = {people: frame for frame, people in reversed(style.drawings)}
    assert {people: frame - people for people, frame in first.items()} == {1: 5, 5: 5, 9: 5}


def test_keys_change_what_is_shown_also_during_a_pause(running: Running) -> None:
    running.feed(60)
    running.asked()
    running.find()
    screen = show(running, lambda shown: " h?q"[shown - 1])
    _, paused, heated, helped = screen.shown
    assert (paused[24:] == 60).all()
    assert (heated[24:] != 60).any()
    assert np.count_nonzero(helped[24:] != heated[24:]) > 100


def test_the_close_button_ends_the_demo(running: Running) -> None:
    running.feed(1)

    def press(_shown: int) -> str:
        raise WindowClosed

    show(running, press)
    assert running.controls.state.ended


def test_s_saves_the_frame_whose_people_are_known_and_the_right_way_round(
    running: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    frame = shade(60)
    frame[:, :32] = 200
    running.camera.food.put(Still(frame, CLIP, 0))
    running.asked()
    running.find()
    running.feed(90)  # newer, its people not known yet
    show(running, lambda shown: "msq"[shown - 1])
    (picture,) = tmp_path.glob("*.png")
    np.testing.assert_array_equal(read_picture(picture), frame)
    (record,) = tmp_path.glob("*_keypoints.json")
    assert json.loads(record.read_text())["people"] == []


def test_before_anything_is_found_there_is_nothing_to_save(
    running: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    running.feed(1)
    show(running, lambda shown: "sq"[shown - 1])
    assert "there is no result to save yet" in running.controls.state.notice
    assert list(tmp_path.iterdir()) == []


def test_r_records_the_picture_without_what_is_written_on_it(
    running: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    running.camera.food.put(still(60, 0.0, rate=10))

    def press(shown: int) -> str:
        running.camera.food.put(still(60 + 20 * shown, shown / 10, rate=10))
        return {1: "r", 5: "r", 6: "q"}.get(shown, "")

    show(running, press)
    (path,) = tmp_path.glob("posecv_*")
    frames = frames_of(path)
    assert frames
    assert all(np.ptp(frame.astype(int)) <= 6 for frame in frames)  # as flat as the camera's, but for the codec


# --- the script -------------------------------------------------------------------------------------------------------


class FakeCapture:
    """OpenCV's camera: gives a frame, by default a black one, so many times."""

    def __init__(self, frame: Frame | None = None) -> None:
        self.left, self.frame = 500, np.zeros((64, 64, 3), np.uint8) if frame is None else frame
        self.asked: dict[int, float] = {}

    def isOpened(self) -> bool:  # noqa: N802  # OpenCV's name
        return True

    def set(self, name: int, value: float) -> bool:
        self.asked[name] = value
        return True

    def get(self, _name: int) -> float:
        return 30.0

    def read(self) -> tuple[bool, Frame | None]:
        threading.Event().wait(0.002)
        self.left -= 1
        return self.left >= 0, self.frame

    def release(self) -> None:
        pass


@dataclass
class Desk:
    """A camera with number 2, and a screen on which q is pressed after three images, or when `is_enough` says so."""

    camera: FakeCapture = field(default_factory=FakeCapture)
    is_enough: Callable[[], bool] | None = None

    def __post_init__(self) -> None:
        self.screen = Gui(self._keys())
        self.shown = self.screen.shown

    def _keys(self) -> Iterator[int]:
        while True:
            yield ord("q") if (self.is_enough() if self.is_enough else len(self.shown) == 3) else -1


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    desk, real = Desk(), cv2.VideoCapture
    with_display(monkeypatch)
    monkeypatch.setattr(cv2, "VideoCapture", lambda what, *api: desk.camera if what == 2 else real(what, *api))
    return desk


@pytest.fixture
def pair(tmp_path: Path, request: pytest.FixtureRequest) -> list[str]:
    prototxt, caffemodel = painted_network(tmp_path, request.param)
    return ["-p", str(prototxt), "-m", str(caffemodel), "--net-size", "64x64"]


@pytest.mark.parametrize("method", [[], ["--multi"], ["--single"], ["--mirror"]])
@pytest.mark.parametrize("pair", [MPI], indirect=True)
def test_the_script_shows_the_camera_that_it_is_told(
    pair: list[str], method: list[str], desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    assert scripts.webcam_pose([*pair, "--camera", "2", *method], gui=desk.screen) == 0
    assert len(desk.shown) == 3
    assert desk.shown[0].shape == (64, 64, 3)
    assert " frames in " in capsys.readouterr().err


@pytest.mark.parametrize("method", ["--single", "--multi"])
@pytest.mark.parametrize("pair", [COCO], indirect=True)
def test_hands_are_found_with_one_person_and_with_everybody(
    pair: list[str], method: str, desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = np.zeros((368, 400, 3), np.uint8)
    paint_person(frame, standing_person(COCO, 200, 40), COCO)
    hand = ",".join(map(str, painted_network(tmp_path / "hand", HAND)))
    desk.camera, desk.is_enough = FakeCapture(frame), Path("out.part.jsonl").exists
    monkeypatch.chdir(tmp_path)
    words = ["-i", "2", method, "--hand", "--hand-model", hand, "--json", "out.jsonl", "--net-size", "400x368"]
    assert scripts.webcam_pose([*pair, *words], gui=desk.screen) == 0
    (person,) = json.loads(Path("out.jsonl").read_text().splitlines()[0])["people"]
    assert len(person["pose_keypoints_2d"]) == 3 * 18
    assert len(person["hand_left_keypoints_2d"]) == len(person["hand_right_keypoints_2d"]) == 3 * 21


@pytest.mark.parametrize("pair", [HAND], indirect=True)
def test_a_network_of_one_hand_shows_one_hand(pair: list[str], desk: Desk) -> None:
    assert scripts.webcam_pose([*pair, "-i", "2"], gui=desk.screen) == 0
    assert len(desk.shown) == 3


def test_our_own_network_runs_where_none_is_named(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert scripts.webcam_pose(["-i", "2", "--net-size", "64x64", "-v"], gui=desk.screen) == 0
    assert "network light_body (" in capsys.readouterr().err


@pytest.mark.parametrize("pair", [COCO], indirect=True)
def test_a_camera_is_asked_for_size_and_rate(pair: list[str], desk: Desk) -> None:
    words = ["-i", "2", "--camera-size", "1280x720", "--camera-fps", "15"]
    assert scripts.webcam_pose([*pair, *words], gui=desk.screen) == 0
    wanted = cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FPS
    assert [desk.camera.asked[name] for name in wanted] == [1280, 720, 15]


@pytest.mark.parametrize("pair", [COCO], indirect=True)
def test_a_camera_that_stops_on_the_way_is_said_and_keeps_what_is_done(
    pair: list[str],
    desk: Desk,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    desk.is_enough = lambda: False
    monkeypatch.chdir(tmp_path)
    words = ["-i", "2", "--json", "out.jsonl", "--csv", "out.csv", "-o", "out.avi", "--record", "shown.avi"]
    assert scripts.webcam_pose([*pair, *words], gui=desk.screen) == 1
    assert "camera 2 delivers no frames" in capsys.readouterr().err
    records = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]
    numbers = [record["frame"] for record in records]
    assert numbers == sorted(set(numbers))
    assert records[0]["source"] == "camera_2"
    assert Path("out.csv").read_text().startswith("source,frame,time,person,score,nose_x,")
    assert frames_of(Path("out.avi"))
    assert frames_of(Path("shown.avi"))
    assert not list(Path().glob("*.part*"))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["-i", "no.jpg"], "use run_multi_pose.py for images and folders"),
        (["-i", "."], "use run_multi_pose.py for images and folders"),
        (["--serve", "http"], "'http' is not a port such as 8000"),
        (["--serve", "70000"], "'70000' is not a port"),
        (["--camera-size", "big"], "'big' is not a size in pixels"),
        (["--camera-size", "0x480"], "'0x480' is not a size in pixels"),
        (["--camera-fps", "0"], "0 is not above 0"),
        (["-o", "out.png"], "holds one frame"),
        (["--json", "out.json"], "give a .jsonl file or a folder"),
        (["--record", "out.png"], "--record 'out.png' is not a file name with the suffix .avi"),
        (["--record", "out.avi", "--codec", "huh"], "--codec huh"),
        (["--record", "out.avi", "-o", "out.avi"], "is also the file of another option"),
    ],
)
def test_a_mistake_is_one_line_before_the_camera_is_opened(
    words: list[str], expected: str, desk: Desk, capsys: pytest.CaptureFixture[str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert scripts.webcam_pose(["-p", "pose.prototxt", "-m", "pose.caffemodel", *words], gui=desk.screen) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert expected in line
    assert list(tmp_path.iterdir()) == []


def test_without_a_display_the_line_names_the_ways_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    without_display(monkeypatch)
    screen = Gui()
    assert scripts.webcam_pose(["-p", "pose.prototxt", "-m", "pose.caffemodel"], gui=screen) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "no window (" in line
    assert f"({opencv.why_no_window(screen)})" in line
    assert "display" in line
    assert "--serve 8000" in line
    assert "--no-show" in line


@pytest.mark.parametrize("pair", [COCO], indirect=True)
def test_without_a_window_a_film_is_played_once_and_told_about(
    pair: list[str], film: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert scripts.webcam_pose([*pair, "-i", str(film), "--no-show", "--json", str(film.with_suffix(".jsonl"))]) == 0
    assert "3 frames in" in capsys.readouterr().err
    assert film.with_suffix(".jsonl").stat().st_size > 0
