"""What must hold whatever happens: runs that are killed, disks that are full, films that lie, thousands of files.

The scripts run as programs on films of painted people, whose place tells the frame's number.
"""

from __future__ import annotations

import _thread
import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from conftest import HIDDEN, REPOSITORY, RunScript
from figures import Finds, Frames, Sink, raising, result_of, someone
from networks import Pair, painted_network
from posecv.app.scripts import _ended_in_order
from posecv.errors import InputError, OutputError
from posecv.outputs import Output
from posecv.outputs.growing import CocoResults, Csv, JsonLines, part_of
from posecv.result import Result
from posecv.run import pipeline
from posecv.run.job import Job
from posecv.run.pipeline import without_frames
from posecv.skeletons import COCO
from posecv.sources.pictures import read_picture
from walking import HEIGHT, WIDTH, film, unsteady_film, walk, walker, words

WEBM = "out.webm"
NECK = COCO.keypoints.index("neck")
posix = pytest.mark.skipif(os.name != "posix", reason="signals and limits of POSIX")


# --------------------------------------------------------------------------------------------------- painted films


def neck_x(number: int) -> float:
    """Where the neck of that frame is found: OpenPose counts from the corner of a pixel."""
    return float(walker(number)[NECK, 0]) + 0.5


def started(folder: Path, *words: str | Path) -> subprocess.Popen[str]:
    """run_multi_pose.py, which goes on while the test looks at what it does."""
    command = [sys.executable, str(REPOSITORY / "run_multi_pose.py"), *map(str, words)]
    env = {name: value for name, value in os.environ.items() if name not in HIDDEN}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stderr=pipe, text=True, env=env)


def wait_until(ready: Callable[[], bool], run: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 150
    while not ready() and run.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert run.poll() is None, run.communicate()[1]


def lines_in(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def rows_in(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def played(path: Path) -> int:
    """How many frames OpenCV gets out of a film."""
    capture = cv2.VideoCapture(str(path))
    count = 0
    while capture.read()[0]:
        count += 1
    capture.release()
    return count


def assert_walks(records: Iterable[dict[str, Any]], numbers: Iterable[int]) -> None:
    """Each record holds the person of the frame that its number says."""
    records = list(records)
    assert [record["frame"] for record in records] == list(numbers)
    found = [record["people"][0]["pose_keypoints_2d"][3 * NECK] for record in records]
    np.testing.assert_allclose(found, [neck_x(record["frame"]) for record in records], atol=1)


# ------------------------------------------------------------------------------------------------- ended by force


@posix
@pytest.mark.parametrize(
    "name", [pytest.param(WEBM, marks=pytest.mark.slow), pytest.param("out.mkv", marks=pytest.mark.slow), "out.mp4"]
)
def test_a_film_of_a_killed_run_plays_up_to_its_last_seconds(
    coco: Pair, noise: Path, long_film: Path, tmp_path: Path, name: str
) -> None:
    by_opencv = name == WEBM  # whose buffers nobody can flush: the film must be large enough to fill some
    if not by_opencv:
        pytest.importorskip("av")
    source, part = noise if by_opencv else long_film, tmp_path / "out.part.jsonl"
    run = started(tmp_path, *words(coco, "-i", source, "-o", name, "--json", "out.jsonl", "--csv", "out.csv"))
    wait_until(lambda: part.exists() and part.read_bytes().count(b"\n") > 80, run)
    run.kill()
    run.communicate(timeout=60)
    lines = lines_in(part)
    assert_walks(lines, range(len(lines)))
    assert len(rows_in(tmp_path / "out.part.csv")) >= len(lines) - 1
    assert len(lines) - 40 <= played(part_of(tmp_path / name)) <= len(lines) + 1
    assert not (tmp_path / name).exists()


def finished(folder: Path) -> set[str]:
    """The names in a folder but for what a kill cut: at most the one file each of two killed runs was writing."""
    names = {path.name for path in folder.iterdir()}
    unfinished = {name for name in names if re.fullmatch(r"\.posecv-[0-9a-f]{16}\.tmp", name)}
    assert len(unfinished) <= 2
    return names - unfinished


@posix
def test_a_folder_is_finished_after_a_run_was_killed_in_its_middle(coco: Pair, tmp_path: Path) -> None:
    folder, drawn, records = tmp_path / "in", tmp_path / "drawn", tmp_path / "records"
    folder.mkdir()
    for number in range(20):
        cv2.imwrite(str(folder / f"{number}.png"), walk(number))
    film(folder / "film.avi", 60)
    command = words(coco, "-i", "in", "-o", "drawn", "--json", "records", "--resume")
    for done in (6, 32):  # among the pictures, in the film
        run = started(tmp_path, *command)
        wait_until(lambda: records.is_dir() and len(list(records.glob("*.json"))) > done, run)  # noqa: B023
        run.kill()
        run.communicate(timeout=60)
    run = started(tmp_path, *command)
    _, said = run.communicate(timeout=120)
    assert run.returncode == 0, said
    assert "inputs were already done" in said
    frames = {f"film_{number:012d}_keypoints.json" for number in range(60)}
    assert finished(records) == frames | {f"{number}_keypoints.json" for number in range(20)}
    for number in range(20):
        (person,) = json.loads((records / f"{number}_keypoints.json").read_text())["people"]
        assert person["pose_keypoints_2d"][3 * NECK] == pytest.approx(neck_x(number), abs=1)
    names = finished(drawn)
    (whole,) = (drawn / name for name in names if name.startswith("film"))
    assert names == {f"{number}_pose.png" for number in range(20)} | {whole.name}
    assert played(whole) == 60


@posix
def test_a_video_that_was_interrupted_and_resumed_is_that_of_an_undisturbed_run(coco: Pair, tmp_path: Path) -> None:
    film(tmp_path / "film.avi", 60)
    command = words(coco, "-i", "film.avi", "-o", "drawn/", "--json", "records", "--codec", "mjpg", "--resume")
    run = started(tmp_path, *command)
    records = tmp_path / "records"
    wait_until(lambda: records.is_dir() and len(list(records.glob("*.json"))) > 5, run)
    run.send_signal(signal.SIGTERM)
    run.send_signal(signal.SIGINT)  # another one at once changes nothing
    _, said = run.communicate(timeout=120)
    assert run.returncode in (128 + signal.SIGTERM, 128 + signal.SIGINT), said
    assert not [path for path in (tmp_path / "drawn").iterdir() if ".part" not in path.name]
    run = started(tmp_path, *command)
    _, said = run.communicate(timeout=120)
    assert run.returncode == 0, said
    assert len(list(records.glob("*.json"))) == 60
    run = started(tmp_path, *(word.replace("drawn/", "whole/") if isinstance(word, str) else word for word in command))
    run.communicate(timeout=120)
    (resumed,), (whole,) = (list((tmp_path / name).iterdir()) for name in ("drawn", "whole"))
    assert played(resumed) == 60
    assert resumed.read_bytes() == whole.read_bytes()


def test_a_second_signal_in_the_same_moment_does_not_interrupt_the_end() -> None:
    finished = []

    def work() -> None:
        with _ended_in_order():
            try:
                signal.raise_signal(signal.SIGTERM)
            finally:
                signal.raise_signal(signal.SIGINT)
                signal.raise_signal(signal.SIGTERM)
                finished.append(True)

    with pytest.raises(KeyboardInterrupt):
        work()
    assert finished


def test_a_failure_keeps_no_frames_in_memory() -> None:
    def fail(frame: object) -> None:
        raise InputError("damaged")

    try:
        fail(np.zeros((9, 9, 3), np.uint8))
    except InputError as error:
        kept = without_frames(error)
    assert (kept.__traceback__, kept.__context__, kept.__cause__) == (None, None, None)
    assert str(kept) == "damaged"


def at_frame(last: int, act: Callable[[], None]) -> Callable[[Result], None]:
    """What an output does before it takes the frame of that number."""
    return lambda result: act() if result.number == last else None


def test_an_interruption_while_the_last_frames_are_written_waits_for_them() -> None:
    def interrupt() -> None:
        time.sleep(0.3)  # until the frames are estimated, and the run waits for this alone
        _thread.interrupt_main()
        time.sleep(0.3)

    sink = Sink(at_frame(2, interrupt))
    with pytest.raises(KeyboardInterrupt):
        pipeline.run([Job(Frames(4), (sink,))], Finds())
    assert sink.kept == [0, 1, 2, 3, None]


def test_a_run_that_is_stopped_does_not_wait_for_a_stream_that_gives_nothing() -> None:
    gone, ended = threading.Event(), threading.Event()

    def stall() -> None:
        gone.wait(60)
        ended.set()

    sink = Sink()
    jobs = [Job(Frames(1, live=True, at_end=stall), (sink,))]
    with pytest.raises(KeyboardInterrupt):
        pipeline.run(jobs, Finds(before=raising(KeyboardInterrupt())))
    assert not ended.is_set()
    assert sink.kept == [None]
    gone.set()


def test_a_camera_never_takes_the_place_of_a_film_s_frames() -> None:
    sinks = Sink(), Sink()
    sources = Frames(30), Frames(300, Path("camera_0"), live=True)
    jobs = [Job(source, (sink,)) for source, sink in zip(sources, sinks, strict=True)]
    assert pipeline.run(jobs, Finds(before=lambda _: time.sleep(0.005))) == 0
    assert sinks[0].kept == [*range(30), None]
    assert len(sinks[1].kept) < 300
    assert sinks[1].kept[-2:] == [299, None]


def test_what_failed_is_closed_before_the_next_begins() -> None:
    """Thousands of damaged films must not leave thousands of files open."""
    first = Sink()
    seen: list[list[int | None]] = []
    second = Sink(at_frame(20, lambda: seen.append(list(first.kept))))
    broken = Frames(3, at_end=raising(InputError("a.avi: broken")))
    assert pipeline.run([Job(broken, (first,)), Job(Frames(21, Path("b.avi")), (second,))], Finds()) == 1
    assert seen == [[0, 1, 2, None]]


# ------------------------------------------------------------------------------------------------- a disk is full


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 0.7 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    command = [str(mount), "-t", "tmpfs", "-o", "size=700k", "tmpfs", str(folder)]
    if not sys.platform.startswith("linux") or not mount or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here (root on Linux can)")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture(scope="session")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A walk that compresses badly: on grey noise, which is no keypoint's colour."""
    path = tmp_path_factory.mktemp("noise") / "noise.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"FFV1"), 10, (WIDTH, HEIGHT))
    rng = np.random.default_rng(0)
    for number in range(110):
        frame = walk(number)
        grey = rng.integers(0, 255, (HEIGHT, WIDTH, 1), np.uint8)
        writer.write(np.where(frame.any(axis=2, keepdims=True), frame, grey))
    writer.release()
    return path


@pytest.mark.parametrize("name", ["out.avi", pytest.param(WEBM, marks=pytest.mark.slow), "out.mp4"])
def test_on_a_full_disk_what_fitted_plays_and_parses(
    run_script: RunScript, coco: Pair, noise: Path, small_disk: Path, name: str
) -> None:
    if name == "out.mp4":
        pytest.importorskip("av")
    outputs = ["-o", name, "--json", "out.jsonl", "--csv", "out.csv", "--coco-json", "out.json"]
    result = run_script("run_multi_pose.py", *words(coco, "-i", noise, *outputs), cwd=small_disk)
    assert result.returncode == 1, result.stderr
    assert re.search("disk is full|no space left|is the disk full", result.stderr)
    assert "Traceback" not in result.stderr
    assert not (small_disk / name).exists()
    assert 20 < played(part_of(small_disk / name)) < 110
    assert_parsed(small_disk, 20)


def assert_parsed(folder: Path, least: int) -> None:
    """What a run that failed left under either name is whole as far as it goes."""
    lines = lines_in(next(folder.glob("out*.jsonl")))
    assert least < len(lines) <= 110
    assert_walks(lines, range(len(lines)))
    rows = rows_in(next(folder.glob("out*.csv")))
    results = json.loads(next(folder.glob("out*.json")).read_text())
    assert all(None not in row.values() and None not in row for row in rows)
    assert abs(len(rows) - len(results)) <= 2
    assert len(rows) >= len(lines) - 1


def fill(output: Output, result: Result) -> None:
    while True:
        output.write(result)


def test_on_a_full_disk_growing_files_stay_as_they_were_before_what_did_not_fit(small_disk: Path) -> None:
    crowd = result_of(someone(count=8), source="a.avi", number=0)
    for make, name in ((JsonLines, "out.jsonl"), (Csv, "out.csv"), (CocoResults, "out.json")):
        output: Output = make(small_disk / name)
        with pytest.raises(OutputError, match="no space left"):
            fill(output, crowd)
        (part,) = small_disk.glob("out.part.*")
        assert part.stat().st_size > 500_000
        if part.suffix == ".jsonl":
            assert {len(line["people"]) for line in lines_in(part)} == {8}
        elif part.suffix == ".csv":
            assert len(rows_in(part)) % 8 == 0
            assert all(None not in row.values() and None not in row for row in rows_in(part))
        else:
            assert len(json.loads(part.read_text())) % 8 == 0
        output.close()
        assert part.exists()  # under the name of what is not whole
        part.unlink()


def test_on_a_full_disk_pictures_are_whole_or_not_there(
    run_script: RunScript, coco: Pair, small_disk: Path, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    for number in range(40):
        cv2.imwrite(str(tmp_path / f"{number}.png"), rng.integers(0, 255, (160, 160, 3), np.uint8))
    command = words(coco, "-i", tmp_path / "*.png", "-o", "drawn", "--json", "records", net_size=64)
    result = run_script("run_multi_pose.py", *command, cwd=small_disk)
    assert result.returncode == 1, result.stderr
    assert result.stderr.count("no space left on device") > 5
    drawn = list((small_disk / "drawn").iterdir())
    assert 5 < len(drawn) < 40
    assert all(read_picture(path).shape == (160, 160, 3) for path in drawn)
    assert all(json.loads(path.read_text()) for path in (small_disk / "records").iterdir())


# ----------------------------------------------------------------------------------------------------- odd films


def with_count(path: Path, count: int) -> Path:
    """An AVI whose header says another number of frames."""
    data = bytearray(path.read_bytes())
    for chunk, offset in ((b"avih", 8 + 16), (b"strh", 8 + 32)):
        place = data.index(chunk) + offset
        data[place : place + 4] = count.to_bytes(4, "little")
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("said", [7, 5000])
def test_a_film_whose_header_lies_about_its_length_is_done_to_its_end(
    run_script: RunScript, coco: Pair, tmp_path: Path, said: int
) -> None:
    if said < 20 and tuple(map(int, cv2.__version__.split(".")[:2])) < (4, 11):
        pytest.skip("OpenCV before 4.11 stops where the header says")
    with_count(film(tmp_path / "a.avi", 20), said)
    outputs = ["-o", "b.avi", "--json", "records", "--csv", "a.csv"]
    result = run_script("run_multi_pose.py", *words(coco, "-i", "a.avi", *outputs, "--step", "3"))
    assert result.returncode == 0, result.stderr
    assert "a.avi: 7 frames" in result.stderr
    numbers = list(range(0, 20, 3))
    names = [f"a_{number:012d}_keypoints.json" for number in numbers]
    assert sorted(path.name for path in (tmp_path / "records").iterdir()) == names
    rows = rows_in(tmp_path / "a.csv")
    assert [int(row["frame"]) for row in rows] == numbers
    np.testing.assert_allclose([float(row["time"]) for row in rows], np.array(numbers) / 10, atol=1e-6)
    np.testing.assert_allclose([float(row["neck_x"]) for row in rows], [neck_x(number) for number in numbers], atol=1)
    assert played(tmp_path / "b.avi") == len(numbers)


@pytest.mark.parametrize("suffix", [".avi", ".mkv"])
def test_a_film_that_is_cut_off_is_done_as_far_as_it_goes(
    run_script: RunScript, coco: Pair, tmp_path: Path, suffix: str
) -> None:
    whole = film(tmp_path / f"whole{suffix}", 24).read_bytes()
    (tmp_path / f"cut{suffix}").write_bytes(whole[: len(whole) * 6 // 10])
    (tmp_path / f"empty{suffix}").write_bytes(b"")
    film(tmp_path / f"none{suffix}", 0)
    inputs = [f"{name}{suffix}" for name in ("empty", "cut", "none", "whole")]
    result = run_script("run_multi_pose.py", *words(coco, "-i", *inputs, "--json", "a.jsonl", "--csv", "a.csv"))
    assert result.returncode == 1
    assert "2 of 4 inputs done, 2 failed" in result.stderr
    assert {line.split(":")[0] for line in result.stderr.splitlines()[:-1]} == set(inputs)
    lines = lines_in(tmp_path / "a.jsonl")
    cut = [line for line in lines if line["source"] == f"cut{suffix}"]
    assert 8 < len(cut) < 24
    assert_walks(cut, range(len(cut)))
    assert_walks([line for line in lines if line["source"] == f"whole{suffix}"], range(24))
    assert len(lines) == len(cut) + 24 == len(rows_in(tmp_path / "a.csv"))


@pytest.mark.parametrize("step", [1, 3])
def test_frames_that_come_at_no_steady_rate_have_their_numbers_and_times(
    run_script: RunScript, coco: Pair, tmp_path: Path, step: int
) -> None:
    milliseconds = [0, 40, 80, 500, 540, 1000, 1010, 1700, 2500, 2533, 2566, 40_000, 1_234_567]
    frames = [walk(number) for number in range(len(milliseconds))]
    unsteady_film(tmp_path / "vfr.mkv", frames, milliseconds, "ffv1", "bgr0")
    outputs = ["--json", "a.jsonl", "--csv", "a.csv", "--first", "1", "--step", step]
    result = run_script("run_multi_pose.py", *words(coco, "-i", "vfr.mkv", *map(str, outputs)))
    assert result.returncode == 0, result.stderr
    lines, rows = lines_in(tmp_path / "a.jsonl"), rows_in(tmp_path / "a.csv")
    numbers = list(range(1, len(milliseconds), step))
    assert_walks(lines, numbers)
    assert [int(row["frame"]) for row in rows] == numbers
    times = [milliseconds[number] / 1000 for number in numbers]
    np.testing.assert_allclose([line["time"] for line in lines], times, atol=1e-6)
    np.testing.assert_allclose([float(row["time"]) for row in rows], times, atol=1e-6)


@pytest.mark.parametrize("name", ["zwei Wörter", "片段 ☃", "it's; $HOME & co", "-dash"])
def test_names_may_hold_anything(run_script: RunScript, coco: Pair, tmp_path: Path, name: str) -> None:
    if os.name != "posix":
        pytest.skip("other systems allow less in names")
    folder = tmp_path / f"in {name}"
    folder.mkdir()
    film(folder / f"{name}.avi", 3)
    cv2.imwrite(str(folder / f"{name} 1.png"), walk(1))
    outputs = ["-o", f"out {name}", "--json", f"records {name}", "--csv", f"{name}.csv".removeprefix("-")]
    result = run_script("run_multi_pose.py", *words(coco, "-i", folder.name, *outputs))
    assert result.returncode == 0, result.stderr
    records = {path.name for path in (tmp_path / f"records {name}").iterdir()}
    frames = {f"{name}_{number:012d}_keypoints.json" for number in range(3)}
    assert records == frames | {f"{name} 1_keypoints.json"}
    drawn = {path.stem for path in (tmp_path / f"out {name}").iterdir()}
    assert drawn == {f"{name}_pose", f"{name} 1_pose"}
    sources = {row["source"] for row in rows_in(tmp_path / f"{name}.csv".removeprefix("-"))}
    assert sources == {f"in {name}/{name}.avi", f"in {name}/{name} 1.png"}


# ------------------------------------------------------------------------------------------------------- streams


class Broken:
    """Serves Motion JPEG of walkers, 8 frames a connection; the first two requests after that find nobody at home."""

    def __init__(self) -> None:
        self.requests = 0
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.requests += 1
                if server.requests == 2:
                    self.send_error(503)
                    return
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
                self.end_headers()
                first = 0 if server.requests == 1 else 20
                for number in range(first, first + 8):
                    data = cv2.imencode(".jpg", walk(number), [cv2.IMWRITE_JPEG_QUALITY, 98])[1].tobytes()
                    head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
                    self.wfile.write(head.encode() + data + b"\r\n")
                    time.sleep(0.1)  # slow enough for the network to take most of them

            def log_message(self, *_: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()


@posix
def test_a_stream_that_breaks_and_comes_back_goes_on_in_the_same_files(coco: Pair, tmp_path: Path) -> None:
    server = Broken()
    address = f"http://127.0.0.1:{server.http.server_port}/gate.mjpg"
    part = tmp_path / "out.part.jsonl"
    run = started(tmp_path, *words(coco, "-i", address, "-o", "out.avi", "--json", "out.jsonl"))

    def necks() -> list[float]:
        lines = lines_in(part) if part.exists() else []
        return [line["people"][0]["pose_keypoints_2d"][3 * NECK] for line in lines if line["people"]]

    try:
        wait_until(lambda: any(abs(neck - neck_x(23)) < 1 for neck in necks()), run)
        run.send_signal(signal.SIGTERM)
        _, said = run.communicate(timeout=60)
    finally:
        run.kill()
        server.http.shutdown()
        server.http.server_close()
    assert run.returncode == 143, said
    assert said.count("the stream broke; reconnecting in") >= 2
    lines = lines_in(tmp_path / "out.jsonl")
    assert {line["source"] for line in lines} == {"127.0.0.1_gate.mjpg"}
    assert all(one["frame"] < other["frame"] and one["time"] < other["time"] for one, other in pairwise(lines))
    found = [line["people"][0]["pose_keypoints_2d"][3 * NECK] for line in lines]
    before, after = ([neck_x(number) for number in range(first, first + 8)] for first in (0, 20))
    nearest = [min(before + after, key=lambda x: abs(x - neck)) for neck in found]
    np.testing.assert_allclose(found, nearest, atol=1)
    assert nearest[0] in before
    assert nearest[-1] in after
    assert played(tmp_path / "out.avi") == len(lines)


# --------------------------------------------------------------------------------------------------------- many


@pytest.mark.slow
def test_of_two_thousand_files_the_good_ones_are_done_and_the_bad_ones_named(
    run_script: RunScript, coco: Pair, tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    tiny = cv2.resize(walk(0), (22, 24))
    suffixes = (".png", ".jpg", ".bmp", ".webp")
    encoded = {suffix: cv2.imencode(suffix, tiny)[1].tobytes() for suffix in suffixes}
    bad = {"png": b"", "jpg": encoded[".jpg"][:-40], "bmp": b"BM", "webp": b"<!DOCTYPE html>", "avi": b"RIFF"}
    films = film(tmp_path / "film.avi", 3).read_bytes()
    expected, named = set(), set()
    for number in range(2000):
        if number % 20 == 0:
            suffix = list(bad)[number // 20 % len(bad)]
            (folder / f"bad {number}.{suffix}").write_bytes(bad[suffix])
            named.add(f"in/bad {number}.{suffix}")
        elif number % 100 == 1:
            (folder / f"{number}.avi").write_bytes(films)
            expected |= {f"{number}_{frame:012d}_keypoints.json" for frame in range(3)}
        else:
            suffix = suffixes[number % len(suffixes)]
            (folder / f"ü {number}{suffix}").write_bytes(encoded[suffix])
            expected.add(f"ü {number}_keypoints.json")
    (folder / "notes.txt").write_text("neither a picture nor a film")
    outputs = ["--json", "records", "-o", "drawn", "--csv", "all.csv"]
    result = run_script("run_multi_pose.py", *words(coco, "-i", "in", *outputs, net_size=32), timeout=300)
    assert result.returncode == 1
    assert f"{2000 - len(named)} of 2000 inputs done, {len(named)} failed" in result.stderr
    assert {path.name for path in (tmp_path / "records").iterdir()} == expected
    assert len(list((tmp_path / "drawn").iterdir())) == 2000 - len(named)
    failed = {line.split(":")[0] for line in result.stderr.splitlines() if "bad " in line}
    assert failed == named
    assert not list(tmp_path.rglob("*.tmp"))
    assert not list(tmp_path.rglob("*.part.*"))


MEASURED = """
import resource, sys
from posecv.app import scripts as cli
from posecv.outputs.growing import JsonLines

write = JsonLines.write

def measured(self, result):
    write(self, result)
    if result.number in (2000, 9999):
        print(result.number, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)

JsonLines.write = measured
sys.exit(cli.run_pose(sys.argv[1:]))
"""


@posix
@pytest.mark.slow
def test_ten_thousand_frames_take_no_more_memory_than_two_thousand(tmp_path: Path) -> None:
    heatmaps = painted_network(tmp_path / "net", COCO, outputs="heatmaps")
    path = tmp_path / "long.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (WIDTH // 2, HEIGHT // 2))
    frames = [cv2.resize(walk(number), (WIDTH // 2, HEIGHT // 2)) for number in range(40)]
    for number in range(10_000):
        writer.write(frames[number % 40])
    writer.release()
    outputs = ["-o", "out.avi", "--json", "out.jsonl", "--csv", "out.csv", "--coco-json", "out.json"]
    command = [sys.executable, "-c", MEASURED, *words(heatmaps, "-i", path, *outputs, net_size=64)]
    command += ["--threshold", "0.01"]  # a person so small is pale
    env = {name: value for name, value in os.environ.items() if name not in HIDDEN} | {"PYTHONPATH": str(REPOSITORY)}
    run = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=600)
    assert run.returncode == 0, run.stderr
    peaks = {int(number): int(peak) for number, peak in (line.split() for line in run.stdout.splitlines())}
    kilobyte = 1024 if sys.platform == "darwin" else 1
    # A frame's picture alone has 25 kB: of 8,000 frames not one in a hundred may stay.
    assert peaks[9999] - peaks[2000] < 2000 * kilobyte
    assert len(lines_in(tmp_path / "out.jsonl")) == 10_000
    assert len(rows_in(tmp_path / "out.csv")) == 10_000
    assert played(tmp_path / "out.avi") == 10_000
