"""The demo's web page: who is let in, who is kept waiting by whom (nobody), and the page in a real browser."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from conftest import REPOSITORY
from figures import Finds
from networks import paint_person, painted_network, standing_person
from posecv.engines.network import load_network
from posecv.errors import UsageError
from posecv.estimators.build import OneOrAll
from posecv.estimators.single_pass import Everybody
from posecv.live.controls import CONTROLS, Controls, State
from posecv.live.server import Limits, Page, jpeg_of
from posecv.live.session import Session
from posecv.outputs.openpose_json import format_record
from posecv.skeletons import COCO
from posecv.sources import Still
from posecv.sources.pictures import decode_picture

Frame = NDArray[np.uint8]
Serve = Callable[..., Page]

PATIENCE = 20.0  # seconds after which a test fails that waits for what has to come


class Photograph:
    """A camera that shows one picture, and then nothing new."""

    path, live, has_frames = Path("camera_0"), True, True

    def __init__(self, frame: Frame) -> None:
        self.frame, self.over = frame, threading.Event()

    def expected(self) -> None:
        return None

    def stills(self) -> Iterator[Still]:
        yield Still(self.frame, self.path, 42, 1.5)
        self.over.wait(PATIENCE)


@pytest.fixture
def serve() -> Iterator[Serve]:
    """A page of a session that has not begun."""
    pages: list[Page] = []

    def start(host: str = "127.0.0.1", **options: Any) -> Page:
        controls = Controls(State("-1x368"))
        session = Session(Photograph(flat(9)), Finds(), controls)
        pages.append(Page((host, 0), session, controls, **options))
        return pages[-1]

    yield start
    for page in pages:
        page.controls.do("quit")
        page.close()


def port_of(page: Page) -> int:
    found = re.search(r":(\d+)/", page.url)
    assert found
    return int(found[1])


def ask(page: Page, path: str, method: str = "GET", **headers: str) -> HTTPResponse:
    """The beginning of an answer; headers have a dash where Python's names have none."""
    connection = HTTPConnection("127.0.0.1", port_of(page), timeout=PATIENCE)
    own = "Host" in headers
    connection.putrequest(method, path, skip_host=own)
    for name, value in headers.items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    return connection.getresponse()


def flat(value: int) -> Frame:
    return np.full((48, 64, 3), value, np.uint8)


def noise(seed: int) -> Frame:
    """A picture whose JPEG is larger than what a system holds for a viewer who does not read."""
    return np.random.default_rng(seed).integers(0, 256, (720, 1280, 3), np.uint8)


def part(response: HTTPResponse) -> Frame:
    """The next picture of a stream."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = response.read(1)
        assert byte, "the stream has ended"
        head += byte
    length = re.search(rb"Content-Length: (\d+)", head)
    assert length
    data = response.read(int(length[1]))
    return decode_picture(Path("stream"), data)


def event(response: HTTPResponse) -> Any:
    """The next event."""
    line = response.readline()
    assert line.startswith(b"data: "), line
    assert response.readline() == b"\n"
    return json.loads(line[6:])


# --- who is let in ----------------------------------------------------------------------------------------------------


def test_for_this_computer_alone_the_page_needs_no_token(serve: Serve) -> None:
    page = serve()
    assert page.url == f"http://127.0.0.1:{port_of(page)}/"
    answer = ask(page, "/")
    assert answer.status == 200
    assert ask(page, "/none").status == 404


def test_for_others_a_token_nobody_guesses_stands_in_the_address(serve: Serve) -> None:
    one, other = serve("0.0.0.0"), serve("0.0.0.0")
    tokens = [page.url.split("/")[3] for page in (one, other)]
    assert tokens[0] != tokens[1]
    assert all(len(token) == 32 for token in tokens)  # 24 random bytes
    assert "0.0.0.0" not in one.url
    assert ask(one, f"/{tokens[0]}/").status == 200
    redirect = ask(one, f"/{tokens[0]}")
    assert (redirect.status, redirect.headers["Location"]) == (308, f"/{tokens[0]}/")


def test_without_the_token_there_is_nothing(serve: Serve) -> None:
    page = serve("0.0.0.0")
    for before in ("", "wrong/", f"{page.token}_/", f"{page.token[:-1]}/", f"x/{page.token}/"):
        for path in ("", "events", "stream.mjpg", "do/pause", "do/quit"):
            answer = ask(page, f"/{before}{path}", "POST" if path.startswith("do/") else "GET")
            assert (answer.status, answer.read()) == (403, b"403 Forbidden\n")
    assert page.controls.state == State("-1x368")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost:9999"}, 200),  # through ssh -L 9999
        ({"Host": "[::1]:80"}, 200),
        ({"Host": "localhost:9999", "Origin": "http://localhost:9999"}, 200),
        ({"Host": "evil.example:8000"}, 403),  # whose DNS says 127.0.0.1
        ({"Host": "evil.example:8000", "Origin": "http://evil.example:8000"}, 403),
        ({"Host": ""}, 403),
        ({"Host": "[::1"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "localhost:80", "Origin": "http://localhost:9999"}, 403),  # another page of this computer
        ({"Sec_Fetch_Site": "same-origin"}, 200),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"Sec_Fetch_Site": "same-site"}, 403),
    ],
)
def test_other_pages_cannot_use_the_controls(serve: Serve, headers: dict[str, str], status: int) -> None:
    page = serve()
    answer = ask(page, "/do/pause", "POST", **headers)
    assert answer.status == status
    assert page.controls.state.paused == (status == 200)
    if status == 200:
        assert json.loads(answer.read())["paused"] is True


def test_other_pages_may_link_to_the_page_and_not_show_its_picture(serve: Serve) -> None:
    page = serve()
    assert ask(page, "/", Sec_Fetch_Site="cross-site").status == 200
    for place in ("/stream.mjpg", "/events"):
        answer = ask(page, place, Sec_Fetch_Site="cross-site")
        assert answer.status == 403
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"


@pytest.mark.parametrize(
    ("method", "place", "headers", "status"),
    [
        ("GET", "/do/pause", {}, 404),
        ("POST", "/do/dance", {}, 404),
        ("POST", "/pause", {}, 404),
        ("POST", "/do/pause", {"Content_Length": "100000"}, 413),
        ("POST", "/do/pause", {"Content_Length": "-1"}, 413),
        ("PUT", "/do/pause", {}, 501),
    ],
)
def test_what_is_no_control_changes_nothing(
    serve: Serve, method: str, place: str, headers: dict[str, str], status: int
) -> None:
    page = serve()
    assert ask(page, place, method, **headers).status == status
    assert page.controls.version == 0


def test_where_nobody_can_listen_it_is_one_line(serve: Serve) -> None:
    page = serve()
    with pytest.raises(UsageError, match=r"cannot listen on 127.0.0.1 port \d+ \(address already in use\)"):
        Page(("127.0.0.1", port_of(page)), page.session, page.controls)


def test_the_page_holds_everything_and_allows_nothing_else(serve: Serve) -> None:
    answer = ask(serve(), "/")
    html, policy = answer.read().decode(), answer.headers["Content-Security-Policy"]
    nonces = set(re.findall(r'nonce="([^"]+)"', html))
    assert len(nonces) == 1
    assert f"script-src 'nonce-{nonces.pop()}'" in policy
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "{{" not in html
    assert set(re.findall(r"https?://[^'\" ]+", html)) == {"http://www.w3.org/2000/svg"}  # a name, not an address
    found = re.search(r"const groups = (\[.*?\]);", html)
    assert found
    buttons = [action for group in json.loads(found[1]) for action in group]
    assert sorted(buttons) == sorted(control.action for control in CONTROLS)


# --- pictures and events ----------------------------------------------------------------------------------------------


def test_each_viewer_gets_the_newest_picture_which_is_encoded_once(serve: Serve) -> None:
    encoded: list[Frame] = []

    def encode(picture: Frame) -> bytes:
        encoded.append(picture)
        return jpeg_of(picture)

    page = serve(encode=encode)
    page.pictures.put(flat(50))
    viewers = [ask(page, "/stream.mjpg") for _ in range(3)]
    assert {viewer.headers["Content-Type"] for viewer in viewers} == {"multipart/x-mixed-replace; boundary=frame"}
    for value in (50, 100, 150):
        page.pictures.put(flat(value))
        for viewer in viewers:
            while abs(part(viewer).mean() - value) > 3:  # the one before may be on its way
                pass
    assert len(encoded) <= 4


def test_nobody_looks_and_nothing_is_encoded(serve: Serve) -> None:
    encoded: list[Frame] = []
    page = serve(encode=encoded.append)
    for value in range(10):
        page.pictures.put(flat(value))
    assert encoded == []


def test_a_viewer_who_never_reads_keeps_nobody_waiting(serve: Serve) -> None:
    page = serve()
    with socket.socket() as stuck:
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck.connect(("127.0.0.1", port_of(page)))
        stuck.sendall(b"GET /stream.mjpg HTTP/1.0\r\nHost: localhost\r\n\r\n")
        viewer = ask(page, "/stream.mjpg")
        for seed in range(12):
            picture = noise(seed)
            picture[:, :100] = 20 * seed  # survives the codec
            page.pictures.put(picture)
            while abs(part(viewer)[:, :90].mean() - 20 * seed) > 3:
                pass


@pytest.mark.parametrize("reads", [True, False])
def test_the_place_of_a_viewer_who_is_gone_or_stuck_becomes_free(serve: Serve, reads: bool) -> None:
    page = serve(limits=Limits(most=1, silence=0.2, repeated=0.05))
    page.pictures.put(noise(0))
    with socket.socket() as first:
        first.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        first.connect(("127.0.0.1", port_of(page)))
        first.sendall(b"GET /stream.mjpg HTTP/1.0\r\nHost: localhost\r\n\r\n")
        assert first.recv(1) == b"H"
        with pytest.raises((ConnectionError, OSError)):
            ask(page, "/")  # there is one place
        if reads:
            first.close()
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                assert ask(page, "/").status == 200
                return
            except OSError:
                assert time.monotonic() < deadline


@pytest.mark.parametrize(
    "begin",
    [
        b"",
        b"GET / HTTP/1.0\r\nA: ",
        b"POST /do/pause HTTP/1.0\r\nHost: localhost\r\nContent-Length: 999\r\n\r\n",
    ],
)
def test_a_request_that_trickles_in_is_given_up(serve: Serve, begin: bytes) -> None:
    page = serve(limits=Limits(most=1, silence=0.3))
    with socket.socket() as slow:
        slow.settimeout(PATIENCE)
        slow.connect(("127.0.0.1", port_of(page)))
        slow.sendall(begin)
        deadline = time.monotonic() + PATIENCE
        with suppress(OSError):
            while time.monotonic() < deadline:
                slow.sendall(b"x")
                time.sleep(0.05)
        assert time.monotonic() < deadline  # the page closed it
    while True:
        try:
            assert ask(page, "/").status == 200
            return
        except OSError:
            assert time.monotonic() < deadline


def test_another_computer_has_some_of_the_places(serve: Serve) -> None:
    page = serve(limits=Limits(most=9, each=2))
    assert [page._http._enter("192.0.2.1") for _ in range(3)] == [True, True, False]
    assert page._http._enter("192.0.2.2")
    assert [page._http._enter("127.0.0.1") for _ in range(5)] == [True] * 5  # this one has them all


@pytest.mark.parametrize("place", ["/", "/stream.mjpg", "/events"])
def test_head_is_answered_like_get_without_a_body(serve: Serve, place: str) -> None:
    page = serve()
    answer = ask(page, place, "HEAD")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == ask(page, place).headers["Content-Type"]
    assert answer.read() == b""
    assert ask(page, "/nothing", "HEAD").status == 404


@pytest.mark.parametrize("origin", ["http://[", "http://[::1", "null", "//"])
def test_an_origin_that_is_none_is_a_foreign_one(serve: Serve, origin: str) -> None:
    assert ask(serve(), "/do/pause", "POST", Origin=origin).status == 403


def test_events_tell_the_state_and_each_change_of_it(serve: Serve) -> None:
    page = serve()
    events = ask(page, "/events")
    assert events.headers["Content-Type"] == "text/event-stream"
    first = event(events)
    assert first["state"]["paused"] is False
    assert first["record"] == {"version": 1.3, "people": []}
    page.controls.do("pause")
    while not event(events)["state"]["paused"]:
        pass
    page.controls.do("quit")
    assert events.read().endswith(b"event: end\ndata: {}\n\n")


def test_events_hold_the_keypoints_that_the_network_finds(tmp_path: Path) -> None:
    network = load_network(*painted_network(tmp_path, COCO))
    person = standing_person(COCO, 200, 40)
    frame = paint_person(np.zeros((368, 400, 3), np.uint8), person, COCO)
    controls, camera = Controls(State("400x368")), Photograph(frame)
    everybody = Everybody(network)
    session = Session(camera, OneOrAll(network, everybody, everybody), controls)
    page = Page(("127.0.0.1", 0), session, controls)
    with closing(page):
        session.start()
        events = ask(page, "/events")
        while not (told := event(events))["record"]["people"]:
            pass
        camera.over.set()
        session.stop()
    assert (told["frame"], told["time"], told["skeleton"]) == (42, 1.5, "coco")
    assert told["rates"]["latency"] > 0
    expected = json.loads(format_record(everybody(frame, net_size="400x368").people))
    assert told["record"] == expected
    keypoints = np.array(told["record"]["people"][0]["pose_keypoints_2d"]).reshape(-1, 3)
    np.testing.assert_allclose(keypoints[:, :2], person[:, :2] + 0.5, atol=1)


# --- the script and a browser -----------------------------------------------------------------------------------------


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Callable[..., tuple[subprocess.Popen[str], str]]]:
    """Starts the script on a film, whose left half is bright and whose grey changes; the process and the address."""
    pair = painted_network(tmp_path / "network", COCO)
    film = tmp_path / "film.avi"
    writer = cv2.VideoWriter(str(film), cv2.VideoWriter.fourcc(*"MJPG"), 10, (128, 96))
    for number in range(50):
        frame = np.full((96, 128, 3), 20 + number, np.uint8)
        frame[:, :64] += 100
        writer.write(frame)
    writer.release()
    processes: list[subprocess.Popen[str]] = []

    def start(*words: str) -> tuple[subprocess.Popen[str], str]:
        command = [sys.executable, str(REPOSITORY / "webcam_pose.py"), "-p", str(pair[0]), "-m", str(pair[1])]
        command += ["--net-size", "64x64", "-i", str(film), "--no-show", *words]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
        processes.append(process)
        assert process.stderr
        line = process.stderr.readline()
        found = re.search(r"the page is at http://[^/]+:(\d+)(/\S*)", line)
        assert found, line
        return process, f"http://127.0.0.1:{found[1]}{found[2]}"

    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_what_is_recorded_is_whole_after_a_signal(
    demo: Callable[..., tuple[subprocess.Popen[str], str]], tmp_path: Path
) -> None:
    process, _ = demo("--serve", "0", "--record", "shown.avi", "--json", "out.jsonl", "-o", "seen.avi")
    deadline = time.monotonic() + PATIENCE
    while not (tmp_path / "out.part.jsonl").exists() or not (tmp_path / "shown.part.avi").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=PATIENCE)[1]
    assert process.returncode == 128 + signal.SIGTERM, said
    assert json.loads((tmp_path / "out.jsonl").read_text().splitlines()[0])["source"].endswith("film.avi")
    for name in ("shown.avi", "seen.avi"):
        capture = cv2.VideoCapture(str(tmp_path / name), cv2.CAP_FFMPEG)
        assert capture.read()[0]
        capture.release()
    assert not list(tmp_path.glob("*.part.*"))


def test_a_browser_shows_the_picture_and_uses_the_controls_and_a_stranger_gets_nothing(
    demo: Callable[..., tuple[subprocess.Popen[str], str]], tmp_path: Path
) -> None:
    browser = pytest.importorskip("browser", reason="Chromium's pipes are POSIX")
    program = browser.find_chromium()
    if program is None:
        pytest.skip("no chromium, chromium-browser or google-chrome is installed")
    process, url = demo("--serve", "0.0.0.0:0")
    with closing(browser.Browser(program, tmp_path / "profile")) as page:
        page.open(url)
        page.wait_for("document.getElementById('picture').naturalWidth === 128")
        page.value(
            """void (window.brightness = (x) => {
                const canvas = document.createElement("canvas").getContext("2d");
                canvas.drawImage(document.getElementById("picture"), 0, 0);
                return canvas.getImageData(x, 80, 1, 1).data[0];
            }, window.state = () => JSON.parse(document.documentElement.dataset.state))"""
        )
        first = page.value("brightness(10)")
        page.wait_for(f"Math.abs(brightness(10) - {first}) > 4")  # the film goes on
        assert page.value("brightness(10) - brightness(120)") > 60

        page.value("document.querySelector('[data-action=mirror]').click()")
        page.wait_for("state().mirrored && brightness(120) - brightness(10) > 60")
        page.call("Input.dispatchKeyEvent", type="keyDown", key=" ", text=" ")
        page.wait_for("state().paused && !document.querySelector('[data-shown=paused]').hidden")
        assert page.value("document.getElementById('capture').textContent").endswith("/s")
        assert page.complaints == []

        stranger = url.split("/")[2]
        page.open(f"http://{stranger}/")
        page.wait_for("document.body && document.body.innerText.includes('403 Forbidden')")
        page.open("about:blank")  # another page, which happens to know the address
        page.value(f"fetch('{url}do/quit', {{method: 'POST', mode: 'no-cors'}}).catch(() => null).then(() => null)")
        assert process.poll() is None
    host, _, place = url.removeprefix("http://").partition("/")
    connection = HTTPConnection(host, timeout=PATIENCE)
    connection.request("POST", f"/{place}do/quit")
    assert json.loads(connection.getresponse().read())["paused"] is True  # not one of them went through but these two
    assert process.wait(PATIENCE) == 0
