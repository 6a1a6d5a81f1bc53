"""Videos and images at addresses: what has a length is read once, to its end, with every frame."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from posecv.arrays import Frame
from posecv.errors import InputError
from posecv.sources.addresses import RemotePicture, finite, name_of
from posecv.sources.films import Film
from posecv.sources.find import find_sources
from posecv.sources.selection import Selection
from posecv.sources.streams import Stream

SHADE = 10


def grey(number: int) -> Frame:
    return np.full((48, 64, 3), SHADE * number, np.uint8)


def film(path: Path, count: int = 20) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for number in range(count):
        writer.write(grey(number))
    writer.release()
    return path


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder without a word."""

    def log_message(self, *_: Any) -> None:
        pass


class OnlyGet(Quiet):
    """Does not know HEAD."""

    def do_HEAD(self) -> None:
        self.send_error(501)


class Endless(BaseHTTPRequestHandler):
    """A camera: images without a length."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def serve() -> Iterator[Any]:
    servers: list[ThreadingHTTPServer] = []

    def start(handler: Any) -> str:
        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("handler", [Quiet, OnlyGet])
def test_a_video_at_an_address_is_read_once_with_every_frame(tmp_path: Path, serve: Any, handler: Any) -> None:
    film(tmp_path / "a.avi")
    address = serve(functools.partial(handler, directory=tmp_path))
    (source,) = find_sources([f"{address}/a.avi"], Selection())
    assert isinstance(source, Film)
    assert not source.live
    stills = list(source.stills())
    assert [still.number for still in stills] == list(range(20))
    assert [round(float(still.frame.mean()) / SHADE) for still in stills] == list(range(20))
    np.testing.assert_allclose([still.time for still in stills], np.arange(20) / 10, atol=2e-3)
    assert source.expected() == 20


@pytest.mark.parametrize("handler", [Quiet, OnlyGet])
def test_an_image_at_an_address_is_one_still(tmp_path: Path, serve: Any, handler: Any) -> None:
    cv2.imwrite(str(tmp_path / "a b.png"), grey(7))
    address = serve(functools.partial(handler, directory=tmp_path))
    (source,) = find_sources([f"{address}/a%20b.png?size=1"], Selection())
    (still,) = source.stills()
    np.testing.assert_array_equal(still.frame, grey(7))
    assert still.number is None
    assert not source.has_frames
    (tmp_path / "a b.png").unlink()
    with pytest.raises(InputError, match="cannot be loaded"):
        list(source.stills())


def test_what_has_no_length_stays_a_stream(serve: Any) -> None:
    (source,) = find_sources([f"{serve(Endless)}/video"], Selection())
    assert isinstance(source, Stream)
    assert finite("rtsp://127.0.0.1:1/a", Selection()) is None
    assert finite("http://127.0.0.1:1/a.mp4", Selection()) is None  # nobody answers: the stream says so


@pytest.mark.parametrize("host", ["", "localhost"])
def test_a_file_address_is_the_file_or_folder(tmp_path: Path, host: str) -> None:
    film(tmp_path / "a film.avi")
    cv2.imwrite(str(tmp_path / "b.png"), grey(3))
    folder = tmp_path.as_uri().replace("file://", f"file://{host}")
    video, picture = find_sources([folder], Selection())
    assert video == find_sources([f"{folder}/a%20film.avi"], Selection())[0]
    assert isinstance(video, Film)
    assert len(list(video.stills())) == 20
    assert len(list(picture.stills())) == 1


def test_names_of_addresses_tell_no_secrets_and_differ() -> None:
    name = name_of("https://me:secret@example.org/a/b.mp4?token=hidden")
    assert name.suffix == ".mp4"
    assert not any(word in str(name) for word in ("me:", "secret", "hidden", "/"))
    assert name_of("http://h/get?id=1") != name_of("http://h/get?id=2")
    assert RemotePicture("http://me:secret@h/a.png", Selection()).path == Path("h_a.png")
