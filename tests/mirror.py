"""A mirror on localhost that behaves as badly as real ones do.

The first folder of an address says how: `/cut/coco.caffemodel` is that file, cut off in the middle.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PAGE = b"<!DOCTYPE html>\n<html><body>Please log in to download this file.</body></html>\n"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 209274056\n"


@dataclass
class Mirror:
    """What the server sends, and what it was asked for.

    `files` maps names to bytes; `requests` lists "MANNER/NAME from FIRST" in order, FIRST being the first byte
    asked for. Answers that wait end when `hold` is set.
    """

    address: str
    files: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    hold: threading.Event = field(default_factory=threading.Event)

    def forget(self) -> None:
        """End the answers that wait, and start a new list of requests."""
        self.hold.set()
        self.hold = threading.Event()
        self.requests = []

    def url(self, manner: str, name: str) -> str:
        """Address of a file that is served in this manner."""
        return f"{self.address}/{manner}/{name}"


class Handler(BaseHTTPRequestHandler):
    """Serves `/MANNER/NAME`; HTTP/1.0, one connection a request."""

    mirror: Mirror

    def do_GET(self) -> None:
        """Answer in the manner that the address names."""
        manner, name = self.path.strip("/").split("/")
        first = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        self.mirror.requests.append(f"{manner}/{name} from {first}")
        body = self.mirror.files[name]
        with suppress(BrokenPipeError, ConnectionResetError):  # the client had enough
            self.answer(manner, name, first, body)

    def answer(self, manner: str, name: str, first: int, body: bytes) -> None:
        """Send the file whole, or what goes wrong instead."""
        asked_before = sum(request.startswith(f"{manner}/{name} ") for request in self.mirror.requests) - 1
        half = len(body) // 2
        if manner.isdigit():
            self.send(int(manner), PAGE)
        elif manner == "redirect":
            self.send_response(302)
            self.send_header("Location", self.mirror.url("whole", name))
            self.send_header("Connection", "close")
            self.end_headers()
        elif manner == "circle":
            self.send_response(302)
            self.send_header("Location", self.path)
            self.send_header("Connection", "close")
            self.end_headers()
        elif manner == "whole":
            self.send_from(first, body)
        elif manner == "without-ranges":
            self.send(200, body)
        elif manner == "wrong":
            self.send_from(first, body[:half] + bytes(255 - byte for byte in body[half:]))
        elif manner == "page":
            self.send(200, PAGE)
        elif manner == "pointer":
            self.send(200, POINTER)
        elif manner == "cut":
            self.send_from(first, body, end=first + half)
        elif manner == "cut-once" and asked_before == 0:
            self.send_from(first, body, end=half)
        elif manner == "cut-without-ranges":
            self.send(200, body, end=half)
        elif manner == "cut-without-length":
            self.send(200, body[:half], length=False)
        elif manner == "stall-once" and asked_before == 0:
            self.send_from(first, body, end=half)
            self.mirror.hold.wait()
        elif manner in ("cut-once", "stall-once"):
            self.send(503, PAGE)
        elif manner == "silent":
            self.mirror.hold.wait()
        elif manner in ("offset", "offset-unsaid"):
            other = first // 2
            span = f"bytes {other}-{len(body) - 1}/{len(body)}" if manner == "offset" else ""
            self.send(206 if first else 200, body[other:], span=span if first else "")
        elif manner in ("endless", "endless-wrong"):
            self.send(200, body if manner == "endless" else b"?", length=False)
            while not self.mirror.hold.is_set():
                self.wfile.write(bytes(1 << 20))
        elif manner == "slow":
            self.send_from(first, body, piece=len(body) // 8, pause=0.1)
        elif manner == "held":
            self.send_from(first, body, piece=half, pause=60)
        else:
            self.send(404, PAGE)

    def send_from(
        self, first: int, body: bytes, *, end: int | None = None, piece: int = 1 << 20, pause: float = 0.0
    ) -> None:
        """Send the file from a byte on, as a server with Range support does."""
        if first >= len(body):
            self.send(416, b"")
        elif first == 0:
            self.send(200, body, end=end, piece=piece, pause=pause)
        else:
            span = f"bytes {first}-{len(body) - 1}/{len(body)}"
            self.send(206, body[first:], span=span, end=None if end is None else end - first, piece=piece, pause=pause)

    def send(
        self,
        status: int,
        body: bytes,
        *,
        span: str = "",
        length: bool = True,
        end: int | None = None,
        piece: int = 1 << 20,
        pause: float = 0.0,
    ) -> None:
        """Send a response that promises `body` and ends after `end` bytes of it."""
        self.send_response(status)
        if length:
            self.send_header("Content-Length", str(len(body)))
        if span:
            self.send_header("Content-Range", span)
        self.end_headers()
        sent = body[:end]
        for start in range(0, len(sent), piece):
            self.wfile.write(sent[start : start + piece])
            if pause:
                self.mirror.hold.wait(pause)

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output clean."""


@contextmanager
def running_mirror() -> Iterator[Mirror]:
    """Serve on a free port of localhost until the block ends."""

    class OwnHandler(Handler):
        pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), OwnHandler)
    OwnHandler.mirror = mirror = Mirror(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield mirror
    finally:
        mirror.hold.set()
        server.shutdown()
        server.server_close()
        thread.join()
