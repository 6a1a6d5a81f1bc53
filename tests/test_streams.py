"""Cameras, network streams, standard input: frames while they come, one clear line when they do not."""

from __future__ import annotations

import io
import itertools
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from conftest import REPOSITORY
from figures import Finds, Frames, Sink
from networks import paint_person, painted_network, standing_person
from posecv.errors import InputError
from posecv.outputs.window import Window
from posecv.result import Result
from posecv.run import pipeline
from posecv.skeletons import COCO
from posecv.sources import Still
from posecv.sources.find import find_sources
from posecv.sources.pictures import jpegs
from posecv.sources.selection import Selection
from posecv.sources.streams import Camera, StandardInput, Stream, _read

Frame = NDArray[np.uint8]

SHADE = 20


def shade(number: int) -> Frame:
    return np.full((48, 64, 3), SHADE * number, np.uint8)


def number_of(still: Still) -> int:
    return round(float(still.frame.mean()) / SHADE)


def jpeg(frame: Frame) -> bytes:
    return cv2.imencode(".jpg", frame)[1].tobytes()


# --- standard input -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("between", [b"", b"\r\n--frame\r\nContent-Type: image/jpeg\r\n\r\n", b"\xff\0"])
def test_motion_jpeg_is_taken_apart_wherever_it_is_cut(between: bytes) -> None:
    pictures = [jpeg(shade(number)) for number in range(5)]

    class Dripping(io.BytesIO):
        def read1(self, _size: int | None = -1) -> bytes:
            return super().read1(97)

    stream = between.join(pictures)
    assert list(jpegs(io.BytesIO(stream))) == pictures
    assert list(jpegs(Dripping(stream))) == pictures


def test_the_pictures_on_standard_input_are_numbered_and_selected() -> None:
    data = b"".join(jpeg(shade(number)) for number in range(6))
    stills = list(StandardInput(Selection(first=1, step=2), lambda: io.BytesIO(data)).stills())
    assert [(still.number, number_of(still)) for still in stills] == [(1, 1), (3, 3), (5, 5)]


def test_any_one_picture_may_come_on_standard_input() -> None:
    data = cv2.imencode(".png", shade(3))[1].tobytes()
    (still,) = StandardInput(file=lambda: io.BytesIO(data)).stills()
    np.testing.assert_array_equal(still.frame, shade(3))


@pytest.mark.parametrize(
    ("data", "words"), [(b"", "empty"), (b"words", "not an image"), (jpeg(shade(1))[:-2], "cut short")]
)
def test_what_is_no_picture_on_standard_input_says_so(data: bytes, words: str) -> None:
    with pytest.raises(InputError, match=words):
        list(StandardInput(file=lambda: io.BytesIO(data)).stills())


def test_pictures_are_piped_through_a_script(tmp_path: Path) -> None:
    pair = painted_network(tmp_path, COCO)
    person = standing_person(COCO, 84, 44) * np.array([0.5, 0.5, 1], np.float32)
    pictures = []
    for number in range(3):
        frame = np.zeros((192, 176, 3), np.uint8)
        paint_person(frame, person + np.array([10 * number, 0, 0], np.float32), COCO, radius=6)
        pictures.append(cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, 98])[1].tobytes())
    words = ["-p", pair[0], "-m", pair[1], "--net-size", "192", "-i", "-", "--json", "out.jsonl"]
    command = [sys.executable, str(REPOSITORY / "run_multi_pose.py"), *map(str, words)]
    run = subprocess.run(command, input=b"".join(pictures), cwd=tmp_path, capture_output=True, timeout=120)
    assert run.returncode == 0, run.stderr
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [(line["source"], line["frame"]) for line in lines] == [("stdin", 0), ("stdin", 1), ("stdin", 2)]
    necks = [line["people"][0]["pose_keypoints_2d"][3] for line in lines]
    np.testing.assert_allclose(np.diff(necks), 10, atol=1)


# --- streams --------------------------------------------------------------------------------------------------------


class Server:
    """Serves Motion JPEG; each connection gets the next of the given runs of frames or JPEGs, and is then dropped."""

    def __init__(self, runs: list[list[Frame | bytes]]) -> None:
        self.runs, self.connections = iter(runs), 0
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                frames = next(server.runs, None)
                if frames is None:
                    self.send_error(503)
                    return
                server.connections += 1
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
                self.end_headers()
                for frame in frames:
                    data = frame if isinstance(frame, bytes) else jpeg(frame)
                    head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
                    self.wfile.write(head.encode() + data + b"\r\n")

            def log_message(self, *_: Any) -> None:
                pass

        self.http = HTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.http.server_port}/video.mjpg"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()


@pytest.fixture
def serve() -> Iterator[Any]:
    servers: list[Server] = []

    def start(*runs: list[Frame | bytes]) -> Server:
        servers.append(Server(list(runs)))
        return servers[-1]

    yield start
    for server in servers:
        server.http.shutdown()
        server.http.server_close()


def test_a_stream_that_breaks_is_opened_again_and_given_up_in_the_end(
    serve: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    server = serve([shade(number) for number in range(8)], [shade(number) for number in range(8, 12)])
    numbers: list[tuple[int | None, int]] = []
    stills = Stream(server.address, pauses=(0.0, 0.0)).stills()
    with pytest.raises(InputError, match="could not be reopened"):
        numbers.extend((still.number, number_of(still)) for still in stills)
    assert server.connections == 2
    # FFmpeg may keep the last picture of a broken connection to itself.
    assert [number for number, _ in numbers] == list(range(len(numbers)))
    assert len(numbers) >= 10
    assert {number for _, number in numbers} >= {0, 1, 2, 8, 9, 10}
    assert "the stream broke; reconnecting in 0 s" in capsys.readouterr().err


def test_damaged_frames_of_a_stream_are_left_out(serve: Any, capsys: pytest.CaptureFixture[str]) -> None:
    frames: list[Frame | bytes] = [shade(number) for number in range(12)]
    frames[5] = frames[8] = jpeg(shade(5))[:200]
    server = serve(frames)
    numbers: list[int] = []
    with pytest.raises(InputError):
        numbers.extend(number_of(still) for still in Stream(server.address, pauses=()).stills())
    assert numbers == [0, 1, 2, 3, 4, 6, 7, 9, 10, 11]
    assert server.connections == 1
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("seconds", "reads"), [(0.0, 3), (5.0, 3), (5.1, 1)])
def test_a_read_that_fails_late_ends_a_stream_at_once(seconds: float, reads: int) -> None:
    class Silent:
        count = 0

        def read(self) -> tuple[bool, None]:
            self.count += 1
            return False, None

    silent = Silent()
    times = itertools.count(0, seconds)
    assert list(_read(silent, 3, 5.0, lambda: next(times))) == []
    assert silent.count == reads


def test_an_address_where_nothing_is_is_one_line_without_the_password() -> None:
    stream = Stream("http://me:secret@127.0.0.1:1/a/video", pauses=())
    with pytest.raises(InputError, match="cannot read a stream") as error:
        list(stream.stills())
    assert "secret" not in str(error.value)
    assert str(stream.path) == "127.0.0.1_a_video"


def test_a_window_shows_a_camera_s_newest_frame_next() -> None:
    """However many came while the network was busy."""
    busy, given, shown = threading.Event(), threading.Event(), list[int | None]()

    class Burst:
        path, live, has_frames = Path("camera_0"), True, True

        def expected(self) -> None:
            return None

        def stills(self) -> Iterator[Still]:
            yield Still(shade(0), self.path, 0)
            assert busy.wait(20)
            yield from (Still(shade(0), self.path, number) for number in range(1, 10))
            given.set()

    class Screen(Window):
        def write(self, result: Result) -> None:
            shown.append(result.number)

        def close(self) -> None:
            pass

    def slowly(_frame: Frame) -> None:
        busy.set()
        assert given.wait(20)

    assert pipeline.run([pipeline.Job(Burst(), (Screen("posecv"),))], Finds(before=slowly)) == 0
    assert shown == [0, 9]


def test_a_live_source_drops_old_frames_and_a_file_none() -> None:
    class Fast(Frames):
        def stills(self) -> Iterator[Still]:
            for still in super().stills():
                time.sleep(0.002)
                yield still

    counts = []
    for live in (True, False):
        sink = Sink()
        finder = Finds(before=lambda _frame: time.sleep(0.01))
        assert pipeline.run([pipeline.Job(Fast(100, live=live), (sink,))], finder) == 0
        seen = [result.number or 0 for result in sink.results]
        assert seen == sorted(seen)
        assert seen[-1] == 99
        counts.append(len(seen))
    assert counts[0] < 60
    assert counts[1] == 100


# --- cameras --------------------------------------------------------------------------------------------------------


class FakeCamera:
    """Gives frames, or fails to, as a list says."""

    def __init__(self, reads: list[Frame | None], opened: bool = True) -> None:
        self.reads, self.opened, self.released = iter(reads), opened, False
        self.asked: dict[int, float] = {}

    def isOpened(self) -> bool:  # noqa: N802  # OpenCV's name
        return self.opened

    def set(self, name: int, value: float) -> bool:
        self.asked[name] = value
        return False

    def get(self, _name: int) -> float:
        return 0.0

    def read(self) -> tuple[bool, Frame | None]:
        frame = next(self.reads, None)
        return frame is not None, frame

    def release(self) -> None:
        self.released = True


def test_a_camera_that_wakes_up_slowly_gives_its_frames_and_is_released() -> None:
    camera = FakeCamera([None, None, shade(1), None, shade(2), shade(3)])

    def opened(_number: int) -> Any:
        return camera

    stills = Camera(0, Selection(step=2), size=(640, 480), rate=15, opened=opened).stills()
    assert [number_of(next(stills)), number_of(next(stills))] == [1, 3]
    assert camera.asked[cv2.CAP_PROP_FRAME_WIDTH] == 640
    assert camera.asked[cv2.CAP_PROP_FPS] == 15
    assert not camera.released
    with pytest.raises(InputError, match="camera 0 delivers no frames"):
        next(stills)
    assert camera.released


@pytest.mark.parametrize(
    ("there", "words"), [([], "no camera was found"), ([1], "available: 1$"), ([0, 2], "available: 0, 2$")]
)
def test_a_camera_that_is_not_there_says_which_are(there: list[int], words: str) -> None:
    def opened(number: int) -> Any:
        return FakeCamera([], opened=number in there)

    with pytest.raises(InputError, match=f"camera 3 cannot be opened; {words}"):
        list(Camera(3, opened=opened).stills())


def test_words_become_sources_each_once_and_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("b.png", "a.avi", "5"):
        (tmp_path / name).write_bytes(b"")
    words = ["0", "rtsp://host/live", "a.avi", "-", ".", "5", "0", "none.png"]
    kinds = [f"{type(source).__name__} {source.path}" for source in find_sources(words, Selection())]
    assert kinds == [
        "Camera camera_0", "Stream host_live", "Film a.avi", "StandardInput stdin", "Picture b.png", "Picture 5",
        "Picture none.png",
    ]  # fmt: skip
