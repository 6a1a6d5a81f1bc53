"""Videos with faults: damaged, with wrong times, turned, with pixels that are not square."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import walking
from figures import drawn, result_of
from posecv.arrays import Frame
from posecv.errors import InputError
from posecv.outputs.films import DrawnFilm
from posecv.run.job import joined
from posecv.sources.clock import Clock, Unbroken
from posecv.sources.films import Film, pyav
from posecv.sources.interlaced import MAY_FAIL
from posecv.sources.selection import Selection
from posecv.sources.streams import Stream

WIDTH, HEIGHT = 64, 48
SHADE = 10


def grey(number: int) -> Frame:
    """A frame that tells its number up to 25."""
    return np.full((HEIGHT, WIDTH, 3), SHADE * (number % 25), np.uint8)


def number_of(frame: Frame) -> int:
    return round(float(frame.mean()) / SHADE)


def made(path: Path, count: int, codec: str = "libx264", *, rate: int = 25, aspect: str = "1", **options: Any) -> Path:
    """A video by PyAV of frames that tell their numbers."""
    av = pytest.importorskip("av", reason="the test makes its input with PyAV")
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(aspect)
        stream.options = options
        stream.bit_rate = 4_000_000
        for number in range(count):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(grey(number), format="bgr24")))
        container.mux(stream.encode(None))
    return path


def motion_jpeg(path: Path, count: int, bad: set[int]) -> Path:
    """A Motion JPEG by OpenCV in which some frames are damaged."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (WIDTH, HEIGHT))
    for number in range(count):
        writer.write(grey(number))
    writer.release()
    data = bytearray(path.read_bytes())
    place, index = data.index(b"movi"), data.index(b"idx1")
    for number in range(count):
        place = data.index(b"00dc", place, index) + 8
        length = int.from_bytes(data[place - 4 : place], "little")
        if number in bad:
            data[place : place + length] = b"\x55" * length
        place += length
    path.write_bytes(data)
    return path


def seconds_of(path: Path) -> float:
    capture = cv2.VideoCapture(str(path))
    return capture.get(cv2.CAP_PROP_FRAME_COUNT) / capture.get(cv2.CAP_PROP_FPS)


# --- damaged --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [{5}, {0}, {5, 6, 7, 30, 31, 32, 58}, set(range(10, 50))])
def test_frames_behind_a_damaged_one_are_read_with_their_numbers_and_times(
    tmp_path: Path, bad: set[int], reader: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    path = motion_jpeg(tmp_path / "a.avi", 60, bad)
    reader()
    stills = list(Film(path).stills())
    whole = [number for number in range(60) if number not in bad]
    assert [number_of(still.frame) for still in stills] == [number % 25 for number in whole]
    begin = whole[0] if stills[0].number == 0 else 0  # what is missing at the beginning is known to PyAV alone
    assert [still.number for still in stills] == [number - begin for number in whole]
    np.testing.assert_allclose([still.time for still in stills], (np.array(whole) - begin) / 10, atol=2e-3)
    said = capsys.readouterr().err
    assert f"a.avi: the header says 60 frames, {60 - len(bad)} could be decoded" in said


def test_a_whole_video_says_nothing(tmp_path: Path, reader: Any, capsys: pytest.CaptureFixture[str]) -> None:
    path = motion_jpeg(tmp_path / "a.avi", 20, set())
    reader()
    assert len(list(Film(path).stills())) == 20
    assert capsys.readouterr().err == ""


# --- times ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.avi", "libx264", {"bf": "3"}),
        ("a.avi", "mpeg4", {"bf": "2"}),
        ("a.h264", "libx264", {"bf": "3"}),
        ("a.m2v", "mpeg2video", {}),
        ("a.ts", "libx264", {"bf": "3"}),
        ("a.mp4", "libx264", {"bf": "3"}),
        ("a.mkv", "libx264", {"bf": "3"}),
        ("a.mpg", "mpeg2video", {"bf": "2"}),
    ],
)
def test_times_are_numbers_by_rate_also_where_frames_are_stored_in_another_order(
    tmp_path: Path, name: str, codec: str, options: dict[str, Any], reader: Any
) -> None:
    path = made(tmp_path / name, 24, codec, **options)
    reader()
    stills = list(Film(path).stills())
    assert [number_of(still.frame) for still in stills] == list(range(24))
    np.testing.assert_allclose([still.time for still in stills], np.arange(24) / 25, atol=2e-3)
    target = drawn(path, tmp_path / "b.avi")
    assert seconds_of(target) == pytest.approx(24 / 25, abs=0.05)


@pytest.mark.parametrize("name", ["a.ts", "a.mpg"])
def test_times_go_on_where_recordings_were_joined(tmp_path: Path, name: str, reader: Any) -> None:
    path = made(tmp_path / name, 20, "mpeg2video", bf="2")
    path.write_bytes(path.read_bytes() * 3)
    reader()
    times = [still.time for still in Film(path).stills()]
    np.testing.assert_allclose(times, np.arange(len(times)) / 25, atol=2e-3)
    assert len(times) >= 58  # a decoder may keep a frame back at each joint
    assert seconds_of(drawn(path, tmp_path / "b.avi")) == pytest.approx(len(times) / 25, abs=0.05)


def ticked(clock: Clock, stamp: float | None) -> tuple[int, float]:
    """The number and time of a frame that does not come too late."""
    tick = clock.tick(stamp)
    assert tick
    return tick


def test_a_frame_that_a_decoder_kept_back_changes_no_numbers_behind_damage() -> None:
    clock = Clock(rate=25)
    for number in range(20):
        ticked(clock, number / 25)
    clock.lose()
    assert ticked(clock, 60 / 25)[0] == 60
    assert clock.tick(21 / 25) is None
    assert ticked(clock, 61 / 25) == (61, 61 / 25)


def test_a_clock_believes_gaps_but_no_steps_back() -> None:
    clock = Clock(rate=10, longest=10)
    assert [ticked(clock, stamp)[1] for stamp in (0.0, 0.1, 5.0)] == [0.0, 0.1, 5.0]
    times = [ticked(clock, stamp)[1] for stamp in (700.0, 700.1, 0.0, 0.1, None, 0.3)]
    np.testing.assert_allclose(times, 5.0 + 0.1 * np.arange(1, 7))


def test_a_clock_keeps_numbers_behind_lost_frames() -> None:
    clock = Clock(rate=10)
    assert ticked(clock, 0.0)[0] == 0
    for _ in range(3):
        clock.lose()
    assert ticked(clock, 0.4) == (4, 0.4)
    clock.lose()
    assert ticked(clock, 0.5)[0] == 5  # it was not a frame that was lost
    unstamped = Clock(rate=10)
    ticked(unstamped, None)
    unstamped.lose()
    assert ticked(unstamped, None) == (2, 0.2)


def test_a_clock_of_a_broadcast_counts_frames_that_are_missing() -> None:
    clock = Clock(rate=10, longest=10, steady=True)
    assert [ticked(clock, stamp)[0] for stamp in (0.0, 0.1, 0.2, 0.6, 0.7)] == [0, 1, 2, 6, 7]
    film_on_dvd = Clock(rate=24000 / 1001, longest=10, steady=True)
    steps = np.cumsum([0.0, *([1 / 29.97, 1.5 / 29.97] * 20)])
    assert [ticked(film_on_dvd, stamp)[0] for stamp in steps] == list(range(41))


def test_a_clock_does_not_follow_one_wrong_stamp() -> None:
    clock = Clock(rate=10, longest=10)
    times = [ticked(clock, stamp)[1] for stamp in (0.0, 0.1, 0.2, 5.0, 0.4, 0.5, 5.1)]
    assert times[-1] == 5.1
    assert np.diff(times).min() > 0


@pytest.mark.parametrize("codec", ["mpeg2video", "libx264"])
def test_numbers_and_times_are_right_behind_a_hole_in_a_transport_stream(
    tmp_path: Path, codec: str, reader: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    path = made(tmp_path / "a.ts", 24, codec, bf="0", g="4")
    data = bytearray(path.read_bytes())
    begin, length = len(data) // 188 // 3 * 188, len(data) // 188 // 6 * 188
    path.write_bytes(data[:begin] + data[begin + length :])
    reader()
    stills = list(Film(path).stills())
    told = f"a.ts: damaged; {len(stills)} frames could be decoded, about {24 - len(stills)} could not"
    assert told in capsys.readouterr().err
    del stills[:-6]
    assert [still.number for still in stills] == list(range(18, 24))
    assert [number_of(still.frame) for still in stills] == list(range(18, 24))
    np.testing.assert_allclose([still.time for still in stills], np.arange(18, 24) / 25, atol=2e-3)


def test_any_stamps_give_times_that_never_go_back() -> None:
    random = np.random.default_rng(3)
    for _ in range(200):
        clock, stamps = Clock(rate=25, longest=10), random.uniform(-5, 40, 30)
        times = [ticked(clock, None if stamp < -4 else float(stamp))[1] for stamp in stamps]
        assert np.diff(times).min() > 0
        assert times[0] >= 0
    move = Unbroken(longest=10)
    assert [move(stamp) for stamp in (5.0, 6.0, 90.0, 91.0, 0.0)] == [5.0, 6.0, 7.0, 8.0, 9.0]


def test_a_video_of_two_sources_lasts_as_long_as_both(tmp_path: Path) -> None:
    for target in ("c.avi", "c.mp4"):
        with DrawnFilm(tmp_path / target) as output:
            for name, count in (("a.avi", 20), ("b.avi", 10)):
                for still in Film(motion_jpeg(tmp_path / name, count, set())).stills():
                    output.write(joined(result_of(), still))
            output.write(result_of())
        assert seconds_of(tmp_path / target) == pytest.approx(3.1, abs=0.15)


def test_opencv_draws_an_unsteady_video_that_lasts_as_long(tmp_path: Path, reader: Any) -> None:
    milliseconds = [0, 40, 80, 500, 540, 1000, 1040]
    walking.unsteady_film(
        tmp_path / "a.mp4", [grey(number) for number in range(7)], milliseconds, "libx264", "yuv420p"
    )
    reader()
    assert seconds_of(drawn(tmp_path / "a.mp4", tmp_path / "b.avi")) == pytest.approx(1.04, abs=0.2)


# --- pixels that are not square -------------------------------------------------------------------------------------


@pytest.mark.parametrize("aspect", ["4/3", "16/11", "8/9"])
def test_pixels_that_are_not_square_keep_their_shape(tmp_path: Path, aspect: str, reader: Any) -> None:
    av = pytest.importorskip("av")
    path = made(tmp_path / "a.mp4", 5, aspect=aspect)
    with_av = drawn(path, tmp_path / "b.mp4")
    reader()
    wanted = float(Fraction(aspect))
    assert {round(still.aspect, 4) for still in Film(path).stills()} == {round(wanted, 4)}
    turned = Film(path, Selection(rotate=90)).stills()
    assert {round(still.aspect, 4) for still in turned} == {round(1 / wanted, 4)}
    with av.open(str(with_av)) as container:
        assert container.streams.video[0].sample_aspect_ratio == Fraction(aspect)
    capture = cv2.VideoCapture(str(drawn(path, tmp_path / "b.avi")))
    width, height = capture.get(cv2.CAP_PROP_FRAME_WIDTH), capture.get(cv2.CAP_PROP_FRAME_HEIGHT)
    assert width / height == pytest.approx(wanted * WIDTH / HEIGHT, rel=0.05)


# --- interlaced -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "codec"), [("a.mpg", "mpeg2video"), ("a.mts", "libx264"), ("a.mp4", "libx264")])
@pytest.mark.parametrize("flags", ["+ildct+ilme", "-ildct-ilme"])
def test_no_frame_of_an_interlaced_video_is_another_one(
    tmp_path: Path, name: str, codec: str, flags: str, reader: Any
) -> None:
    path = made(tmp_path / name, 24, codec, flags=flags, bf="0")
    reader()
    if not pyav() and MAY_FAIL and flags.startswith("+"):
        with pytest.raises(InputError, match=r"a\.\w+: this video is interlaced, which OpenCV .* pip install av"):
            list(Film(path).stills())
    else:
        assert [number_of(still.frame) for still in Film(path).stills()] == list(range(24))


@pytest.mark.parametrize("codec", ["mpeg2video", "libx264"])
def test_no_frame_is_another_one_where_a_video_becomes_interlaced(tmp_path: Path, codec: str, reader: Any) -> None:
    first = made(tmp_path / "a.ts", 70, codec, flags="-ildct-ilme", bf="0").read_bytes()
    second = made(tmp_path / "b.ts", 24, codec, flags="+ildct+ilme", bf="0").read_bytes()
    (tmp_path / "c.ts").write_bytes(first + second)
    reader()
    stills: list[Any] = []
    if not pyav() and MAY_FAIL:
        with pytest.raises(InputError, match=r"c\.ts: from frame \d+ on, this video is interlaced"):
            stills.extend(Film(tmp_path / "c.ts").stills())
    else:
        stills.extend(Film(tmp_path / "c.ts").stills())
        assert len(stills) >= 92
    seen = [number_of(still.frame) for still in stills]
    assert seen[:69] == [number % 25 for number in range(69)]  # a frame may be lost at the joint
    if len(seen) > 70:
        assert seen[-23:] == list(range(1, 24))


@pytest.mark.parametrize("flags", ["+ildct+ilme", "-ildct-ilme"])
def test_no_frame_of_an_interlaced_stream_is_another_one(tmp_path: Path, flags: str, reader: Any) -> None:
    path = made(tmp_path / "a.ts", 24, "mpeg2video", flags=flags, bf="0")
    reader()
    stills: list[Any] = []
    refused = not pyav() and MAY_FAIL and flags[0] == "+"
    with pytest.raises(InputError, match="interlaced" if refused else "broke"):
        stills.extend(Stream(path.as_uri(), pauses=()).stills())
    assert [number_of(still.frame) for still in stills] == ([] if refused else list(range(24)))
