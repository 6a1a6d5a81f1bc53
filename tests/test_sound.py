"""Sound: what is heard at a frame of a video is heard at that frame of the drawn one, whatever its codec and clock."""

from __future__ import annotations

import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import REPOSITORY
from figures import drawn
from posecv.arrays import Frame
from posecv.outputs.sound import seems_to_sound
from posecv.sources.films import Film
from posecv.sources.selection import Selection

av: Any = pytest.importorskip("av", reason="sound needs PyAV")

RATE = 25  # frames per second
COUNT = 50
FLASHES = 12, 37  # frames that are white, while a beep is heard
SAMPLES = 48000  # per second
TOLERANCE = 0.02  # seconds


def frame(number: int) -> Frame:
    return np.full((48, 64, 3), 255 if number in FLASHES else 0, np.uint8)


def wave(late: float = 0.0) -> Any:
    """A beep at each flash, for a picture that begins so many seconds after the sound."""
    time = np.arange(round((COUNT / RATE + late) * SAMPLES)) / SAMPLES
    heard = np.zeros(len(time), bool)
    for number in FLASHES:
        begin = late + number / RATE
        heard |= (begin <= time) & (time < begin + 0.1)
    return (heard * 0.8 * np.sin(2 * np.pi * 1000 * time)).astype(np.float32)


def film(
    path: Path,
    video: str = "libx264",
    audio: str = "aac",
    *,
    late: float = 0.0,
    begin: float = 0.0,
) -> Path:
    """A video with flashes and beeps, whose stamps begin at `begin`, and the picture's `late` seconds later."""
    with av.open(str(path), "w") as container:
        pictures = container.add_stream(video, rate=RATE)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream(audio, rate=SAMPLES)
        sound.codec_context.layout = "mono"
        packets = []
        for number in range(COUNT):
            still = av.VideoFrame.from_ndarray(frame(number), format="bgr24")
            still.pts, still.time_base = round((begin + late) * 1000) + number * 1000 // RATE, Fraction(1, 1000)
            packets += pictures.encode(still.reformat(format="yuv420p"))
        packets += pictures.encode(None)
        samples = av.AudioFrame.from_ndarray(wave(late)[None], format="fltp", layout="mono")
        samples.sample_rate, samples.pts, samples.time_base = SAMPLES, round(begin * SAMPLES), Fraction(1, SAMPLES)
        size = sound.codec_context.frame_size
        resampler = av.AudioResampler(sound.codec_context.format, "mono", SAMPLES, frame_size=size or 1024)
        for piece in [*resampler.resample(samples), *resampler.resample(None)]:
            packets += sound.encode(piece)
        packets += sound.encode(None)
        for packet in sorted(packets, key=lambda packet: float(packet.dts * packet.time_base)):
            container.mux(packet)
    return path


def flashes(path: Path) -> list[float]:
    """When white frames begin to be seen; a frame's number tells its time, since AVI's own stamps do not."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        begin = float(stream.start_time * stream.time_base)
        white = [each.to_ndarray(format="gray").mean() > 128 for each in container.decode(stream)]
    return [begin + number / RATE for number in range(1, len(white)) if white[number] and not white[number - 1]]


def beeps(path: Path) -> list[float]:
    """When beeps begin to be heard."""
    loud: list[tuple[float, bool]] = []
    with av.open(str(path)) as container:
        rate = container.streams.audio[0].codec_context.sample_rate
        resampler = av.AudioResampler("fltp", "mono", rate)
        for decoded in container.decode(audio=0):
            begin = float(decoded.pts * decoded.time_base)
            for piece in resampler.resample(decoded):
                values = np.abs(piece.to_ndarray()[0])
                step = rate // 500
                for place in range(0, len(values) - step + 1, step):
                    loud.append((begin + place / rate, values[place : place + step].max() > 0.2))
                begin += len(values) / rate
    return [time for (time, now), (_, before) in zip(loud[1:], loud, strict=False) if now and not before]


def assert_together(path: Path, times: list[float]) -> None:
    """The drawn video shows no flash (frames are black in these tests' results) but its beeps are at these times."""
    np.testing.assert_allclose(beeps(path), times, atol=TOLERANCE)


EXPECTED = [number / RATE for number in FLASHES]


def codec(name: str) -> str:
    """The name of an encoder; skips the test where FFmpeg lacks it."""
    try:
        av.codec.Codec(name, "w")
    except Exception:
        pytest.skip(f"this FFmpeg has no encoder {name}")
    return name


TARGETS = "b.mp4", "b.mkv", "b.mov"
SOUNDS = (
    ("a.mp4", "libx264", "aac"),
    ("a.ts", "mpeg2video", "aac"),
    ("a.mkv", "libx264", "ac3"),
    ("a.mkv", "libx264", "eac3"),
    ("a.mkv", "libx264", "flac"),
    ("a.mkv", "libx264", "pcm_s16le"),
    ("a.mov", "libx264", "alac"),
    ("a.webm", "libvpx", "libopus"),
    ("a.mkv", "libx264", "mp2"),
    ("a.avi", "mpeg4", "libmp3lame"),
    ("a.mpg", "mpeg2video", "mp2"),
)
# Each sound meets one container in every run of the tests, the others in the slow ones.
PAIRS = [
    pytest.param(*sound, target, marks=() if (row + column) % len(TARGETS) == 0 else pytest.mark.slow)
    for row, sound in enumerate(SOUNDS)
    for column, target in enumerate(TARGETS)
]


@pytest.mark.parametrize(("source", "video", "audio", "target"), PAIRS)
def test_every_sound_is_heard_at_its_frame_in_every_format(
    tmp_path: Path, source: str, video: str, audio: str, target: str
) -> None:
    made = film(tmp_path / source, codec(video), codec(audio))
    np.testing.assert_allclose(np.diff(beeps(made)), np.diff(EXPECTED), atol=TOLERANCE)
    # What the writer does is done in a process of its own: a fault of FFmpeg would end the tests.
    program = "import sys, test_sound; from pathlib import Path; test_sound.drawn(*map(Path, sys.argv[1:3]))"
    paths = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "tests")])
    run = subprocess.run(
        [sys.executable, "-c", program, str(made), str(tmp_path / target)],
        env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert (run.returncode, run.stderr) == (0, "")
    # In the source, the beeps may begin with a block of the codec's own: the distance to the flash must stay.
    shift = np.subtract(beeps(made), flashes(made))
    assert_together(tmp_path / target, list(np.add(EXPECTED, shift)))
    with av.open(str(tmp_path / target)) as container:
        assert len(list(container.decode(video=0))) == COUNT


@pytest.mark.parametrize("target", ["b.mp4", "b.mkv"])
@pytest.mark.parametrize(
    ("name", "video", "audio"),
    [
        ("a.mp4", "libx264", "aac"),
        ("a.mkv", "libx264", "ac3"),
        ("a.ts", "mpeg2video", "mp2"),
        ("a.mpg", "mpeg2video", "mp2"),
    ],
)
@pytest.mark.parametrize(("late", "begin"), [(1.0, 0.0), (0.0, 3600.0), (0.5, 3600.0)])
def test_sound_and_picture_that_begin_at_other_times_stay_together(
    tmp_path: Path, name: str, video: str, audio: str, late: float, begin: float, target: str
) -> None:
    made = film(tmp_path / name, video, codec(audio), late=late, begin=begin)
    shift = np.subtract(beeps(made), flashes(made))
    np.testing.assert_allclose(shift, 0, atol=0.03)
    assert_together(drawn(made, tmp_path / target), list(np.add(EXPECTED, shift)))


@pytest.mark.parametrize(
    ("name", "video", "audio"),
    [
        ("a.ts", "mpeg2video", "mp2"),
        ("a.ts", "libx264", "aac"),
        ("a.ts", "libx264", "ac3"),
        ("a.mpg", "mpeg2video", "mp2"),
    ],
)
def test_sound_stays_at_its_frames_where_recordings_were_joined(
    tmp_path: Path, name: str, video: str, audio: str
) -> None:
    made = film(tmp_path / name, video, codec(audio))
    shift = beeps(made)[0] - flashes(made)[0]
    made.write_bytes(made.read_bytes() * 3)
    seen = [still.time for still in Film(made).stills() if still.frame.mean() > 128]
    assert len(seen) == 3 * len(FLASHES)
    assert_together(drawn(made, tmp_path / "b.mp4"), [time + shift for time in seen])


def test_sound_follows_the_frames_that_were_selected(tmp_path: Path) -> None:
    for audio in ("aac", "ac3"):
        made = film(tmp_path / "a.mkv", audio=codec(audio), late=0.5)
        shift = np.subtract(beeps(made), flashes(made))
        selected = drawn(made, tmp_path / "b.mp4", Selection(first=5, last=24))
        assert_together(selected, [(FLASHES[0] - 5) / RATE + shift[0]])
        with av.open(str(selected)) as container:
            assert container.duration / av.time_base == pytest.approx(20 / RATE, abs=0.1)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".avi"])
def test_a_files_header_tells_whether_it_sounds(suffix: str, tmp_path: Path) -> None:
    heard = film(tmp_path / f"heard{suffix}", "mpeg4", "mp3")
    assert seems_to_sound(heard)
    with av.open(str(heard)) as source, av.open(str(tmp_path / f"silent{suffix}"), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    assert not seems_to_sound(tmp_path / f"silent{suffix}")
    assert not seems_to_sound(tmp_path / "none.mp4")


def test_sound_that_nobody_can_read_is_left_out_with_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = film(tmp_path / "a.avi", "mpeg4", "ac3")
    data = bytearray(made.read_bytes())
    place, index = 0, data.index(b"idx1")
    while (place := data.find(b"01wb", place, index)) >= 0:  # the sound's chunks
        length = int.from_bytes(data[place + 4 : place + 8], "little")
        data[place + 8 : place + 8 + length] = bytes(length)
        place += 8
    made.write_bytes(data)
    drawn(made, tmp_path / "b.mp4")
    assert "a.avi: the new video has no sound" in capsys.readouterr().err
    with av.open(str(tmp_path / "b.mp4")) as container:
        assert not container.streams.audio
        assert len(list(container.decode(video=0))) == COUNT
