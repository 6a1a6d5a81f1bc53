"""The web page: the image as Motion JPEG, state and keypoints as server-sent events, controls by POST.

    /              the page
    /stream.mjpg   the image, each viewer's newest
    /events        a JSON object for each frame with its people, and for each change of the state
    /do/ACTION     POST: does what one of the controls says, and answers with the state

Where others than this computer can come, all of it lies under a token that nobody guesses: /TOKEN/, /TOKEN/events, ...
"""

from __future__ import annotations

import ipaddress
import json
import secrets
import socket
import socketserver
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import cv2

from posecv.arrays import Frame
from posecv.errors import UsageError, reason
from posecv.live.controls import CONTROLS, Controls
from posecv.live.latest import Latest
from posecv.live.session import Session
from posecv.outputs.openpose_json import format_record
from posecv.outputs.window import fitted
from posecv.people import People

__all__ = ["Limits", "Page", "jpeg_of"]


QUALITY = 80  # of the JPEGs, 0 to 100
FAREWELL = 1.0  # seconds that viewers have at the end
HEARTBEAT = 1.0  # seconds between two events at most
BUFFER = 1 << 17  # bytes that wait in the system for a slow viewer: an image or two, not a past of seconds
LARGEST_BODY = 1024  # bytes that a POST may carry; they are not read for anything
PAGE = Path(__file__).with_name("page.html")
POLICY = (
    "default-src 'none'; img-src 'self' data:; connect-src 'self'; script-src 'nonce-{0}'; style-src 'nonce-{0}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True)
class Limits:
    """What viewers may ask of a page.

    Attributes
    ----------
    most : int
        Connections at once.
    silence : float
        Seconds that a viewer has to take what is sent, or to say what is wanted.
    repeated : float
        Seconds after which the same image is sent again, which finds out who is gone.
    """

    most: int = 64
    silence: float = 10.0
    repeated: float = 2.0


def jpeg_of(picture: Frame) -> bytes:
    """An image as viewers get it, reduced where it does not fit on a screen."""
    return cv2.imencode(".jpg", fitted(picture), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()


USUAL = Limits()


class Page:
    """Serves the demo on a web page until it is closed.

    Parameters
    ----------
    address : (str, int)
        Host and port to listen at; port 0 takes any that is free.
    session : Session
        What is told.
    controls : Controls
        What the page's buttons do.
    limits : Limits
        What viewers may ask of it.
    encode : callable
        Makes the bytes that are sent of an image.

    Raises
    ------
    UsageError
        Where nothing can listen at this address.

    Attributes
    ----------
    pictures : Latest
        What is shown goes in here.
    token : str
        Stands in the address; empty where only this computer can come.
    """

    def __init__(
        self,
        address: tuple[str, int],
        session: Session,
        controls: Controls,
        *,
        limits: Limits = USUAL,
        encode: Callable[[Frame], bytes] = jpeg_of,
    ) -> None:
        self.session, self.controls, self.limits = session, controls, limits
        self._encode = encode
        self.pictures: Latest[Frame] = Latest()
        self._jpeg = 0, b""
        self._encoding = threading.Lock()
        try:
            self._http = _Http(address, partial(_Handler, self), limits.most)
        except OSError as error:
            where = f"{address[0]} port {address[1]}"
            raise UsageError(f"--serve: nothing can listen at {where} ({reason(error)}); name another port") from None
        self._host = self._http.server_address[0]
        self.token = "" if _is_loopback(str(self._host)) else secrets.token_urlsafe(24)
        self._names = {"localhost", address[0].lower()}
        if self.token:
            self._names |= {socket.gethostname().lower(), f"{socket.gethostname().lower()}.local"}
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def url(self) -> str:
        """The page's address."""
        host = str(self._host)
        if ipaddress.ip_address(host).is_unspecified:
            host = _own_address(self._http.address_family)
        shown = f"[{host}]" if ":" in host else host
        return f"http://{shown}:{self._http.server_address[1]}/{self.token and self.token + '/'}"

    def close(self) -> None:
        """Serve nobody any more, once those who are being served have had their last word."""
        _, picture = self.pictures.now()
        if picture is not None:
            self.pictures.put(picture)  # wakes those who wait for one
        self._http.shutdown()
        self._http.wait_until_idle(FAREWELL)
        self._http.server_close()

    def jpeg_after(self, number: int, seconds: float) -> tuple[int, bytes]:
        """The newest image, once there is a newer one than that number's or the seconds are over; encoded once."""
        newest, picture = self.pictures.after(number, seconds)
        with self._encoding:
            if picture is not None and newest > self._jpeg[0]:
                self._jpeg = newest, self._encode(picture)
            return self._jpeg

    def news(self) -> bytes:
        """State, rates and the people found last, as JSON."""
        _, found = self.session.found.now()
        rates = {name: round(value, 3) for name, value in asdict(self.session.rates()).items()}
        told: dict[str, Any] = {"state": asdict(self.controls.state), "rates": rates}
        told["skeleton"] = self.session.skeleton.name
        told["frame"] = found.shot.still.number if found else None
        told["time"] = round(found.shot.still.time, 6) if found else None
        record = format_record(found.result.people if found else People.empty(self.session.skeleton))
        return f'{json.dumps(told)[:-1]}, "record": {record}}}'.encode()

    def html(self, nonce: str) -> bytes:
        """The page, whose script and style bear the nonce."""
        controls = json.dumps([asdict(each) for each in CONTROLS])
        text = PAGE.read_text(encoding="utf-8").replace("{{controls}}", controls)
        return text.replace("{{nonce}}", nonce).encode()

    def is_known(self, host: str) -> bool:
        """Whether a Host header names this computer: a name that somebody else's DNS turned to it does not."""
        try:
            name = (urlsplit(f"//{host}").hostname or "").lower()
        except ValueError:
            return False
        return name in self._names or _is_address(name)


class _Http(ThreadingHTTPServer):
    """A thread a connection, and no more than so many at once."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], handler: Callable[..., BaseHTTPRequestHandler], most: int) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._places, self._free = most, threading.BoundedSemaphore(most)
        super().__init__(address, handler)

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)  # http.server's own asks DNS for a name, which may take long

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def wait_until_idle(self, seconds: float) -> None:
        """Wait until nobody is served, for so many seconds at most; nobody is served after that."""
        deadline = monotonic() + seconds
        for _ in range(self._places):
            if not self._free.acquire(timeout=max(0.0, deadline - monotonic())):
                return

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: viewers come and go."""


class _Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    server_version, sys_version = "posecv", ""

    def __init__(self, page: Page, *connection: Any) -> None:
        self.page = page
        super().__init__(*connection)

    def setup(self) -> None:
        self.request.settimeout(self.page.limits.silence)
        self.request.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().setup()

    def do_GET(self) -> None:
        answers = {"": self._page, "stream.mjpg": self._stream, "events": self._events}
        place = self._place()
        if place in answers:
            answers[place]()
        elif place is not None:
            self._refuse(HTTPStatus.NOT_FOUND)

    def do_POST(self) -> None:
        place = self._place()
        if place is None:
            return
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or int(length) > LARGEST_BODY:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return
        self.rfile.read(int(length))
        try:
            state = self.page.controls.do(place.removeprefix("do/") if place.startswith("do/") else "")
        except UsageError:
            self._refuse(HTTPStatus.NOT_FOUND)
        else:
            self._answer(HTTPStatus.OK, "application/json", json.dumps(asdict(state)).encode())

    def _place(self) -> str | None:
        """What is asked for, without the token; None where that is answered already."""
        path = self.path.partition("?")[0].removeprefix("/")
        given, slash, rest = path.partition("/")
        token = self.page.token
        if not secrets.compare_digest(given.encode() if token else b"", token.encode()):
            self._refuse(HTTPStatus.FORBIDDEN)
            return None
        place = rest if token else path
        if not self._is_own(entrance=place == "" and self.command == "GET"):
            self._refuse(HTTPStatus.FORBIDDEN)
            return None
        if token and not slash:
            self._answer(HTTPStatus.PERMANENT_REDIRECT, "text/plain", b"", Location=f"/{token}/")
            return None
        return place

    def _is_own(self, entrance: bool) -> bool:
        """Whether a request comes from the page itself, or from no page at all; the entrance may be linked to."""
        host = self.headers.get("Host", "")
        origin = self.headers.get("Origin")
        site = self.headers.get("Sec-Fetch-Site", "none")
        own = origin is None or urlsplit(origin).netloc == host
        return self.page.is_known(host) and own and (entrance or site in ("same-origin", "none"))

    def _page(self) -> None:
        nonce = secrets.token_urlsafe(16)
        policy = {"Content-Security-Policy": POLICY.format(nonce)}
        self._answer(HTTPStatus.OK, "text/html; charset=utf-8", self.page.html(nonce), **policy)

    def _stream(self) -> None:
        """Send the newest image whenever the viewer has taken the last one."""
        self._begin(HTTPStatus.OK, "multipart/x-mixed-replace; boundary=frame")
        self.wfile.write(b"--frame\r\n")
        number = 0
        while not self.page.controls.state.ended:
            number, jpeg = self.page.jpeg_after(number, self.page.limits.repeated)
            if jpeg:
                # The boundary follows at once: browsers show an image when they see where it ends.
                head = b"Content-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(jpeg)
                self.wfile.write(head + jpeg + b"\r\n--frame\r\n")

    def _events(self) -> None:
        """Tell what is new."""
        self._begin(HTTPStatus.OK, "text/event-stream")
        controls, version = self.page.controls, self.page.session.news_version
        while not controls.state.ended:
            seen = version()
            self.wfile.write(b"data: " + self.page.news() + b"\n\n")
            controls.wait(lambda state, seen=seen: state.ended or version() != seen, HEARTBEAT)  # type: ignore[misc]
        self.wfile.write(b"event: end\ndata: {}\n\n")

    def _refuse(self, status: HTTPStatus) -> None:
        self._answer(status, "text/plain; charset=utf-8", f"{status.value} {status.phrase}\n".encode())

    def _answer(self, status: HTTPStatus, kind: str, body: bytes, **headers: str) -> None:
        self._begin(status, kind, **headers, **{"Content-Length": str(len(body))})
        if self.command != "HEAD":
            self.wfile.write(body)

    def _begin(self, status: HTTPStatus, kind: str, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, **HEADERS, **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def _is_address(name: str) -> bool:
    """Whether a host is an IP address, which no DNS can turn elsewhere."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    return ipaddress.ip_address(host).is_loopback


def _own_address(family: int) -> str:
    """This computer's address as others see it; nothing is sent to find it out."""
    somewhere = "2001:db8::1" if family == socket.AF_INET6 else "192.0.2.1"  # for documentation, never anybody's
    with socket.socket(family, socket.SOCK_DGRAM) as trial:
        try:
            trial.connect((somewhere, 9))
            return str(trial.getsockname()[0])
        except OSError:
            return socket.gethostname()
