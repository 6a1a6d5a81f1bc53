"""One network serves many threads, several threads may be the first to use posecv, and stderr may be missing."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
import pytest

import posecv
from conftest import REPOSITORY
from networks import black, paint_person, painted_network, standing_person
from posecv.arrays import Array
from posecv.engines import Engine
from posecv.engines.engine import one_at_a_time
from posecv.engines.network import Network, load_network
from posecv.skeletons import COCO
from posecv.terminal import quiet_stderr, say

T = TypeVar("T")

PACKAGES = {
    "opencv": "cv2", "opencv-thin": "cv2", "onnxruntime": "onnxruntime", "openvino": "openvino",
    "openvino-float32": "openvino",
}  # fmt: skip
ENGINE = pytest.mark.parametrize("engine", PACKAGES)
THREADS = pytest.mark.parametrize("threads", [2, 8])
SIZES = (64, 96), (96, 64), (128, 80)
POSIX = pytest.mark.skipif(os.name != "posix", reason="descriptors are closed by a POSIX shell")


def blob(number: int) -> Array:
    """Input of one of three sizes, another one for each number."""
    shape = (1, 3, *SIZES[number % len(SIZES)])
    return np.random.default_rng(number).uniform(-0.5, 0.5, shape).astype(np.float32)


def loaded(engine: str) -> Network:
    """A network of hands in that engine, if it is installed."""
    pytest.importorskip(PACKAGES[engine], reason=f"the package {PACKAGES[engine]} is not installed")
    return load_network("light_hand", engine=engine, device="cpu")


def at_once(threads: int, work: Callable[[int], T]) -> list[T]:
    """What each of the threads gives, which all start at the same time."""
    ready = threading.Barrier(threads)

    def one(number: int) -> T:
        ready.wait(60)
        return work(number)

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(one, range(threads)))


def python(code: str, *, cwd: Path, words: Sequence[str] = (), closed: str = "") -> subprocess.CompletedProcess[str]:
    """Run a program with these descriptors closed, as `2>&-` does."""
    command = [sys.executable, "-c", code, *words]
    if closed:
        command = ["sh", "-c", f"exec {shlex.join(command)} {closed}"]
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=120)


# ------------------------------------------------------------------------------------------------- one network


@ENGINE
@THREADS
def test_threads_in_one_network_get_the_maps_that_they_would_get_in_turn(engine: str, threads: int) -> None:
    network = loaded(engine)
    numbers = range(3 * threads)
    expected = [network.maps(blob(number)).copy() for number in numbers]
    turns = at_once(threads, lambda thread: [network.maps(blob(3 * thread + turn)) for turn in range(3)])
    for number in numbers:
        np.testing.assert_array_equal(turns[number // 3][number % 3], expected[number])


@ENGINE
def test_maps_stay_as_they_are_while_other_threads_go_on(engine: str) -> None:
    network = loaded(engine)
    first = network.maps(blob(0))
    before = first.copy()
    at_once(2, lambda thread: [network.maps(blob(3 * turn)) for turn in (1 + thread, 3 + thread)])  # of the same size
    np.testing.assert_array_equal(first, before)


@ENGINE
def test_threads_with_a_network_each_get_the_same_maps(engine: str) -> None:
    expected = loaded(engine).maps(blob(1))
    for maps in at_once(2, lambda _: loaded(engine).maps(blob(1))):
        np.testing.assert_array_equal(maps, expected)


def test_threads_find_the_same_people_in_one_network(tmp_path: Path) -> None:
    network = load_network(*painted_network(tmp_path, COCO), device="cpu", engine="opencv")
    frames = [paint_person(black(176, 192), standing_person(COCO, x, 44) * (0.5, 0.5, 1), COCO) for x in (140, 200)]
    expected = [posecv.estimate_people(network, frame, net_size=192) for frame in frames]
    found = at_once(2, lambda thread: posecv.estimate_people(network, frames[thread], net_size=192))
    for people, alone in zip(found, expected, strict=True):
        assert len(people) == 1
        np.testing.assert_array_equal(people.keypoints, alone.keypoints)


def test_calls_come_one_at_a_time_and_an_error_lets_the_next_one_in() -> None:
    inside: list[int] = []
    most: list[int] = []

    def forward(values: Array) -> Sequence[Array]:
        inside.append(1)
        most.append(len(inside))
        threading.Event().wait(0.001)
        inside.pop()
        if values.size == 0:
            raise ValueError("empty")
        return [values]

    engine = Engine("any", ("maps",), one_at_a_time(forward))
    with pytest.raises(ValueError, match="empty"):
        engine.forward(np.empty(0, np.float32))
    at_once(8, lambda number: engine.forward(blob(number)))
    assert most == [1] * 9


# ------------------------------------------------------------------------------------------------- the first use

TOGETHER = """
import sys, threading
before = sys.stderr
ready = threading.Barrier(8)
failed = []

def work(number):
    ready.wait()
    try:
        import posecv
        {work}
    except BaseException as error:
        failed.append(repr(error))

threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert not failed, failed
assert sys.stderr is before, sys.stderr
print("said", file=sys.stderr)
"""
USES = {
    "names": "getattr(posecv, sorted(set(posecv.__all__) - {'skeletons'})[number])",
    "network": "assert posecv.load_network('light_hand', engine='opencv').skeleton.name == 'hand'",
    "any network": "assert posecv.load_network('light_hand', net_size='64x64').skeleton.name == 'hand'",
    "models": "from posecv.models import find_model; assert find_model('light_hand').skeleton.name == 'hand'",
    "drawing": "from posecv import draw_people",
}


@pytest.mark.parametrize("use", USES)
def test_several_threads_may_be_the_first_to_use_posecv(use: str, tmp_path: Path) -> None:
    result = python(TOGETHER.replace("{work}", USES[use]), cwd=tmp_path)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "said\n")


def test_what_other_threads_print_while_opencv_is_looked_for_comes_through(tmp_path: Path) -> None:
    """An OpenCV that takes its time, and complains, in one thread; a line of another thread meanwhile."""
    (tmp_path / "cv2.py").write_text(
        "import sys, threading\nsys.stderr.write('lost\\n')\n"
        "importing = threading.main_thread().importing\nimporting.set()\n"
        "assert threading.main_thread().spoken.wait(30)\nraise ImportError('no OpenCV today')\n"
    )
    code = """
import sys, threading
main = threading.main_thread()
main.importing, main.spoken = threading.Event(), threading.Event()
before, raised = sys.stderr, []

def look():
    import posecv
    try:
        posecv.load_network()
    except posecv.PoseError as error:
        raised.append(str(error))

thread = threading.Thread(target=look)
thread.start()
assert main.importing.wait(30)
print("heard", file=sys.stderr)
main.spoken.set()
thread.join()
assert "no OpenCV today" in raised[0]
assert sys.stderr is before
"""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(REPOSITORY)])}
    result = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=120)
    assert (result.returncode, result.stderr) == (0, "heard\n")


# -------------------------------------------------------------------------------------------------------- stderr


@POSIX
def test_threads_that_keep_native_code_quiet_get_its_words_apart_and_lose_nobodys_line(tmp_path: Path) -> None:
    code = """
import os, threading
from posecv.terminal import quiet_stderr, say
before = os.fstat(2).st_ino

def work(number):
    for turn in range(25):
        with quiet_stderr() as noise:
            os.write(2, b"native %d %d" % (number, turn))
            with quiet_stderr() as inner:
                os.write(2, b"inside")
        assert (noise, inner) == ([f"native {number} {turn}"], ["inside"]), (noise, inner)
        say(f"line {number} {turn}")

threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
assert os.fstat(2).st_ino == before
"""
    result = python(code, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert sorted(result.stderr.splitlines()) == sorted(
        f"line {number} {turn}" for number in range(8) for turn in range(25)
    )


def test_without_stderr_nothing_is_said_and_nothing_goes_to_stdout(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    say("to nobody")
    with quiet_stderr() as noise:
        os.write(2, b"native")
    assert noise == ["native"]
    assert capfd.readouterr() == ("", "")


WITHOUT_STDERR = """
import sys
{before}
assert sys.stderr is None
import cv2, numpy as np
from posecv import load_network, stream
from posecv.terminal import quiet_stderr, say
say("to nobody")
with quiet_stderr():
    pass
with open("any", "wb") as file:
    assert file.fileno() != 2
network = load_network("light_hand", engine="opencv")
for name in ("a.png", "b.png"):
    cv2.imwrite(name, np.zeros((32, 32, 3), np.uint8))
print(len(list(stream(["a.png", "b.png"], network, progress=True))))
"""


@POSIX
@pytest.mark.parametrize(
    ("before", "closed"), [("sys.stderr = None", ""), ("", "2>&-"), ("", "0<&- 2>&-")], ids=["None", "2", "0 and 2"]
)
def test_a_program_without_stderr_works(before: str, closed: str, tmp_path: Path) -> None:
    """With a progress bar too, where tqdm is installed."""
    result = python(WITHOUT_STDERR.replace("{before}", before), cwd=tmp_path, closed=closed)
    assert (result.returncode, result.stdout, result.stderr) == (0, "2\n", "")


@POSIX
@pytest.mark.parametrize("closed", ["2>&-", "0<&- 2>&-"])
def test_a_script_without_stderr_writes_what_it_is_asked_for_and_keeps_its_exit_code(
    closed: str, tmp_path: Path
) -> None:
    frame = paint_person(black(176, 192), standing_person(COCO, 168, 88) * (0.5, 0.5, 1), COCO)
    cv2.imwrite(str(tmp_path / "a.png"), frame)
    (tmp_path / "b.png").write_bytes(b"no picture")
    prototxt, caffemodel = painted_network(tmp_path / "pair", COCO)
    words = ["-p", str(prototxt), "-m", str(caffemodel), "-i", "a.png", "b.png", "--json", "found", "--net-size", "192"]
    (tmp_path / "found").mkdir()
    command = shlex.join([sys.executable, str(REPOSITORY / "run_multi_pose.py"), *words, "--engine", "opencv"])
    result = subprocess.run(
        ["sh", "-c", f"exec {command} {closed}"], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert (result.returncode, result.stdout, result.stderr) == (1, "", "")
    (written,) = (tmp_path / "found").iterdir()
    assert len(json.loads(written.read_text(encoding="utf-8"))["people"]) == 1
