"""The web page: the image as Motion JPEG, state and keypoints as server-sent events, controls by POST.

    /              the page
    /stream.mjpg   the image, each viewer's newest
    /events        a JSON object with state and people for each new result and each change of the state
    /do/ACTION     POST: performs the action of a control and returns the state

If other computers can connect, all paths begin with a secret token: /TOKEN/, /TOKEN/events, ...
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import secrets
import socket
import socketserver
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
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
FAREWELL = 1.0  # seconds for viewers to receive the end
HEARTBEAT = 1.0  # maximum seconds between two events
BUFFER = 1 << 17  # bytes in the system's buffer for a slow viewer: one or two images, not several seconds
LARGEST_BODY = 1024  # maximum bytes of a POST body, which is ignored
PAGE = "page.html"
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
    """Limits for viewers of the page.

    Attributes
    ----------
    most : int
        Simultaneous connections.
    each : int
        Those from one address, if other computers can connect.
    silence : float
        Seconds for a viewer to receive data, and for a whole request to arrive.
    repeated : float
        Seconds after which the same image is sent again, to detect closed connections.
    """

    most: int = 64
    each: int = 16
    silence: float = 10.0
    repeated: float = 2.0


def jpeg_of(picture: Frame) -> bytes:
    """The JPEG for viewers, reduced if it does not fit on a screen."""
    return cv2.imencode(".jpg", fitted(picture), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()


USUAL = Limits()


class Page:
    """Serves the demo on a web page until it is closed.

    Parameters
    ----------
    address : (str, int)
        Host and port to listen on; port 0 means any free port.
    session : Session
        Provides the results.
    controls : Controls
        Perform the actions of the page's buttons.
    limits : Limits
        Limits for viewers.
    encode : callable
        Encodes an image.

    Raises
    ------
    UsageError
        If the server cannot listen on this address.

    Attributes
    ----------
    pictures : Latest
        Receives the shown images.
    token : str
        Part of the address; empty if only this computer can connect.
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
            self._http = _Http(address, partial(_Handler, self), limits)
        except OSError as error:
            where = f"{address[0]} port {address[1]}"
            raise UsageError(f"--serve: cannot listen on {where} ({reason(error)}); choose another port") from None
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
        """Stop serving, after viewers have received the end."""
        _, picture = self.pictures.now()
        if picture is not None:
            self.pictures.put(picture)  # wakes waiting viewers
        self._http.shutdown()
        self._http.wait_until_idle(FAREWELL)
        self._http.server_close()

    def jpeg_after(self, number: int, seconds: float) -> tuple[int, bytes]:
        """The newest image, encoded once, after waiting for a newer one than that number or until the time is over."""
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
        """The page, with the nonce in its script and style."""
        controls = json.dumps([asdict(each) for each in CONTROLS])
        text = files("posecv.live").joinpath(PAGE).read_text(encoding="utf-8").replace("{{controls}}", controls)
        return text.replace("{{nonce}}", nonce).encode()

    def is_known(self, host: str) -> bool:
        """Whether a Host header names this computer, and not a foreign DNS name that resolves to it."""
        try:
            name = (urlsplit(f"//{host}").hostname or "").lower()
        except ValueError:
            return False
        return name in self._names or _is_address(name)


class _Http(ThreadingHTTPServer):
    """One thread per connection, up to a maximum in all and for each address of another computer."""

    daemon_threads = True
    block_on_close = False

    def __init__(
        self, address: tuple[str, int], handler: Callable[..., BaseHTTPRequestHandler], limits: Limits
    ) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._places, self._each = limits.most, limits.each
        self._free = threading.BoundedSemaphore(limits.most)
        self._counts: Counter[str] = Counter()
        self._counting = threading.Lock()
        super().__init__(address, handler)

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)  # http.server's version asks DNS for a name, which can be slow

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
        elif not self._enter(client_address[0]):
            self._free.release()
            self.shutdown_request(request)
        else:
            super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._counting:
                self._counts[client_address[0]] -= 1
            self._free.release()

    def _enter(self, address: str) -> bool:
        """Count a connection, if its address has a place left."""
        with self._counting:
            if self._counts[address] >= self._each and not _is_loopback(address):
                return False
            self._counts[address] += 1
            return True

    def wait_until_idle(self, seconds: float) -> None:
        """Wait, for limited time, until all connections are closed; then close the rest."""
        deadline = monotonic() + seconds
        for _ in range(self._places):
            if not self._free.acquire(timeout=max(0.0, deadline - monotonic())):
                return

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing: viewers disconnect at any time."""


class _Handler(BaseHTTPRequestHandler):
    """Handles one request."""

    server_version, sys_version = "posecv", ""

    def __init__(self, page: Page, *connection: Any) -> None:
        self.page = page
        super().__init__(*connection)

    def setup(self) -> None:
        self.request.settimeout(self.page.limits.silence)
        self.request.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().setup()

    def handle(self) -> None:
        """Handle requests; each must have arrived in time, however many bytes arrive now and then."""
        self._deadline = threading.Timer(self.page.limits.silence, self._give_up)
        self._deadline.daemon = True
        self._deadline.start()
        try:
            super().handle()
        finally:
            self._deadline.cancel()

    def _give_up(self) -> None:
        with contextlib.suppress(OSError):
            self.request.shutdown(socket.SHUT_RDWR)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self._deadline.cancel()
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
        self._deadline.cancel()
        try:
            state = self.page.controls.do(place.removeprefix("do/") if place.startswith("do/") else "")
        except UsageError:
            self._refuse(HTTPStatus.NOT_FOUND)
        else:
            self._answer(HTTPStatus.OK, "application/json", json.dumps(asdict(state)).encode())

    def _place(self) -> str | None:
        """The requested path without the token; None if the request has already been answered."""
        path = self.path.partition("?")[0].removeprefix("/")
        given, slash, rest = path.partition("/")
        token = self.page.token
        if not secrets.compare_digest(given.encode() if token else b"", token.encode()):
            self._refuse(HTTPStatus.FORBIDDEN)
            return None
        place = rest if token else path
        if not self._is_own(entrance=place == "" and self.command in ("GET", "HEAD")):
            self._refuse(HTTPStatus.FORBIDDEN)
            return None
        if token and not slash:
            self._answer(HTTPStatus.PERMANENT_REDIRECT, "text/plain", b"", Location=f"/{token}/")
            return None
        return place

    def _is_own(self, entrance: bool) -> bool:
        """Whether a request comes from the page itself, or from no page; links to the start page are allowed."""
        host = self.headers.get("Host", "")
        origin = self.headers.get("Origin")
        site = self.headers.get("Sec-Fetch-Site", "none")
        try:
            own = origin is None or urlsplit(origin).netloc == host
        except ValueError:
            own = False
        return self.page.is_known(host) and own and (entrance or site in ("same-origin", "none"))

    def _page(self) -> None:
        nonce = secrets.token_urlsafe(16)
        policy = {"Content-Security-Policy": POLICY.format(nonce)}
        self._answer(HTTPStatus.OK, "text/html; charset=utf-8", self.page.html(nonce), **policy)

    def _stream(self) -> None:
        """Send the newest image whenever the viewer has received the last one."""
        self._begin(HTTPStatus.OK, "multipart/x-mixed-replace; boundary=frame")
        if self.command == "HEAD":
            return
        self.wfile.write(b"--frame\r\n")
        number = 0
        while not self.page.controls.state.ended:
            number, jpeg = self.page.jpeg_after(number, self.page.limits.repeated)
            if jpeg:
                # The boundary follows at once, since browsers show an image only when they know its end.
                head = b"Content-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(jpeg)
                self.wfile.write(head + jpeg + b"\r\n--frame\r\n")

    def _events(self) -> None:
        """Send news."""
        self._begin(HTTPStatus.OK, "text/event-stream")
        if self.command == "HEAD":
            return
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
        """Print nothing."""


def _is_address(name: str) -> bool:
    """Whether a host is an IP address, which DNS cannot redirect."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    return ipaddress.ip_address(host).is_loopback


def _own_address(family: int) -> str:
    """This computer's address for others; nothing is sent to find it."""
    somewhere = "2001:db8::1" if family == socket.AF_INET6 else "192.0.2.1"  # reserved for documentation
    with socket.socket(family, socket.SOCK_DGRAM) as trial:
        try:
            trial.connect((somewhere, 9))
            return str(trial.getsockname()[0])
        except OSError:
            return socket.gethostname()
