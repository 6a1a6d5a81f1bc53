"""Films: the right frames at the right times, films that play, and what is left of them however a run ends."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import walking
from conftest import REPOSITORY, RunScript
from figures import Finds, Frames, Sink, raising, result_of, someone
from networks import Pair, black
from posecv.arrays import Frame
from posecv.errors import InputError, ModelError, OutputError, UsageError
from posecv.outputs import Output
from posecv.outputs.films import DrawnFilm, check_codec
from posecv.outputs.growing import CocoResults, Csv, JsonLines, part_of
from posecv.people import People
from posecv.result import Result
from posecv.run import pipeline
from posecv.run.job import Job, joined
from posecv.skeletons import COCO, HAND
from posecv.sources import Still
from posecv.sources.films import Film, pyav
from posecv.sources.selection import Selection
from walking import walker, words

WIDTH, HEIGHT = 64, 48
SHADE = 10  # of frame n is n times this, so that a frame tells its number
WRIST = COCO.keypoints.index("right_wrist")


def grey(number: int, width: int = WIDTH, height: int = HEIGHT) -> Frame:
    return np.full((height, width, 3), SHADE * (number % 25), np.uint8)


def number_of(frame: Frame) -> int:
    return round(float(frame.mean()) / SHADE)


def film(path: Path, count: int = 20, codec: str = "MJPG", rate: float = 10) -> Path:
    """Frames that tell their numbers."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), rate, (WIDTH, HEIGHT))
    for number in range(count):
        writer.write(grey(number))
    writer.release()
    return path


def played(path: Path) -> list[Frame]:
    """All frames of a film that OpenCV gets out of it."""
    capture = cv2.VideoCapture(str(path))
    frames = []
    while (read := capture.read())[0]:
        frames.append(read[1])
    capture.release()
    return frames


def table(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


# --- in -------------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["PyAV", "OpenCV"])
def reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What follows holds for both readers of films."""
    if request.param == "PyAV":
        pytest.importorskip("av")
    else:
        monkeypatch.setitem(sys.modules, "av", None)


@pytest.mark.parametrize(
    ("selection", "numbers"),
    [
        (Selection(), range(20)),
        (Selection(first=3, last=9), range(3, 10)),
        (Selection(first=1, step=6), [1, 7, 13, 19]),
        (Selection(last=4, step=2), [0, 2, 4]),
        (Selection(first=18, last=400), [18, 19]),
    ],
)
@pytest.mark.usefixtures("reader")
def test_the_frames_asked_for_come_with_their_numbers_and_times(
    tmp_path: Path, selection: Selection, numbers: list[int]
) -> None:
    source = Film(film(tmp_path / "a.avi"), selection)
    stills = list(source.stills())
    assert [still.number for still in stills] == [number_of(still.frame) for still in stills] == list(numbers)
    np.testing.assert_allclose([still.time for still in stills], np.array(numbers) / 10, atol=1e-6)
    assert {still.rate for still in stills} == {10 / selection.step}
    assert source.expected() == selection.of(20) == len(numbers)


@pytest.mark.usefixtures("reader")
def test_a_film_may_be_turned_and_mirrored(tmp_path: Path) -> None:
    frame = black(WIDTH, HEIGHT)
    frame[:24, :32] = 255  # upper left
    writer = cv2.VideoWriter(str(tmp_path / "a.avi"), cv2.VideoWriter.fourcc(*"FFV1"), 10, (WIDTH, HEIGHT))
    writer.write(frame)
    writer.release()
    for selection, corner in (
        (Selection(rotate=90), (0, -1)), (Selection(rotate=270), (-1, 0)), (Selection(rotate=180), (-1, -1)),
        (Selection(flip=True), (0, -1)), (Selection(rotate=90, flip=True), (0, 0)),
    ):  # fmt: skip
        (still,) = Film(tmp_path / "a.avi", selection).stills()
        assert still.frame.shape[:2] == ((WIDTH, HEIGHT) if selection.rotate in (90, 270) else (HEIGHT, WIDTH))
        assert still.frame[corner].min() > 200
        assert (still.frame > 200).mean() == pytest.approx(0.25, abs=0.01)


@pytest.mark.parametrize("wrong", [{"first": -1}, {"step": 0}, {"first": 5, "last": 4}, {"rotate": 45}])
def test_a_selection_that_means_nothing_is_a_mistake(wrong: dict[str, int]) -> None:
    with pytest.raises(UsageError):
        Selection(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("matrix", "corner"),
    [
        ((0, 1, -1, 0), (0, -1)), ((-1, 0, 0, -1), (-1, -1)), ((0, -1, 1, 0), (-1, 0)), ((1, 0, 0, 1), (0, 0)),
        # And mirrored, as front cameras have it.
        ((-1, 0, 0, 1), (0, -1)), ((1, 0, 0, -1), (-1, 0)), ((0, 1, 1, 0), (0, 0)), ((0, -1, -1, 0), (-1, -1)),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("reader")
def test_a_film_that_was_taken_upright_or_upside_down_is_read_upright(
    tmp_path: Path, matrix: tuple[int, ...], corner: tuple[int, int]
) -> None:
    """As telephones have it: a matrix a, b, c, d in the header takes x, y to a x + c y, b x + d y."""
    writer = cv2.VideoWriter(str(tmp_path / "a.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 10, (WIDTH, HEIGHT))
    frame = black(WIDTH, HEIGHT)
    frame[:24, :32] = 255  # upper left
    for _ in range(3):
        writer.write(frame)
    writer.release()
    one = 1 << 16
    rows = [(a * one, b * one, 0) for a, b in ((1, 0), (0, 1))]
    plain = b"".join(value.to_bytes(4, "big", signed=True) for row in rows for value in row)
    a, b, c, d = matrix
    rows = [(a * one, b * one, 0), (c * one, d * one, 0)]
    turned = b"".join(value.to_bytes(4, "big", signed=True) for row in rows for value in row)
    data = (tmp_path / "a.mp4").read_bytes()
    track = data.index(b"tkhd")
    place = data.index(plain, track)
    (tmp_path / "a.mp4").write_bytes(data[:place] + turned + data[place + len(plain) :])
    still, *_ = Film(tmp_path / "a.mp4").stills()
    assert still.frame.shape[:2] == ((WIDTH, HEIGHT) if a == 0 else (HEIGHT, WIDTH))
    assert still.frame[corner].min() > 200
    assert (still.frame > 128).mean() == pytest.approx(0.25, abs=0.03)


def test_both_readers_give_the_same_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("av")
    for name, codec in (("a.mp4", "mp4v"), ("a.avi", "MJPG"), ("a.webm", "VP80")):
        path = film(tmp_path / name, 10, codec)
        by_av = list(Film(path).stills())
        with monkeypatch.context() as without:
            without.setitem(sys.modules, "av", None)
            by_opencv = list(Film(path).stills())
        for one, other in zip(by_av, by_opencv, strict=True):
            np.testing.assert_allclose(one.frame.astype(int), other.frame, atol=2)
            assert (one.number, one.rate) == (other.number, other.rate)
            assert one.time == pytest.approx(other.time, abs=2e-3)


def test_a_film_is_read_by_pyav_where_it_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("av")
    path = film(tmp_path / "a.avi", 3)
    monkeypatch.setattr(cv2, "VideoCapture", pytest.fail)
    assert len(list(Film(path).stills())) == 3


@pytest.mark.usefixtures("reader")
def test_frames_that_come_at_no_steady_rate_keep_their_times(tmp_path: Path) -> None:
    milliseconds = [0, 40, 80, 500, 540, 1000]
    frames = [grey(number) for number in range(len(milliseconds))]
    walking.unsteady_film(tmp_path / "a.mp4", frames, milliseconds, "libx264", "yuv420p")
    stills = list(Film(tmp_path / "a.mp4", Selection(first=1, step=2)).stills())
    np.testing.assert_allclose([still.time for still in stills], [0.04, 0.5, 1.0], atol=1e-6)
    # And a film that is made of them has them too.
    copied = DrawnFilm(tmp_path / "b.mp4")
    for still in Film(tmp_path / "a.mp4").stills():
        copied.write(nobody_in(still))
    copied.close()
    again = list(Film(tmp_path / "b.mp4").stills())
    np.testing.assert_allclose([still.time for still in again], np.array(milliseconds) / 1000, atol=1e-3)


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_of_a_film_that_was_cut_off_all_frames_that_are_there_are_read(tmp_path: Path, share: float) -> None:
    whole = film(tmp_path / "a.avi", 40).read_bytes()
    movie = whole.index(b"movi")
    cut = whole[: movie + int(share * (len(whole) - movie))]
    (tmp_path / "b.avi").write_bytes(cut)
    stills = list(Film(tmp_path / "b.avi").stills())
    assert [still.number for still in stills] == list(range(len(stills)))
    begun = cut.count(b"00dc")
    assert 10 < begun <= 40
    assert begun - 2 <= len(stills) <= begun  # FFmpeg drops a frame that nothing follows


@pytest.mark.usefixtures("reader")
def test_a_header_that_lies_about_the_length_changes_nothing(tmp_path: Path) -> None:
    data = bytearray(film(tmp_path / "a.avi").read_bytes())
    for chunk, offset in ((b"avih", 8 + 16), (b"strh", 8 + 32)):
        place = data.index(chunk) + offset
        assert int.from_bytes(data[place : place + 4], "little") == 20
        data[place : place + 4] = (5000).to_bytes(4, "little")
    (tmp_path / "a.avi").write_bytes(data)
    assert len(list(Film(tmp_path / "a.avi").stills())) == 20


@pytest.mark.parametrize(
    ("content", "words"), [(b"", "not a video"), (b"RIFF\0\0\0\0AVI ", "not a video"), (b"some words", "not a video")]
)
@pytest.mark.usefixtures("reader")
def test_what_is_no_film_is_one_line(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "a.avi").write_bytes(content)
    with pytest.raises(InputError, match=words):
        list(Film(tmp_path / "a.avi").stills())


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize("name", ["12:30:00.avi", "http:a.avi", "a%03d?.avi"])
@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_a_name_that_looks_like_an_address_is_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(film(tmp_path / "a.avi", 3).rename(tmp_path / name).parent)
    assert Film(Path(name)).expected() == 3
    output = DrawnFilm(f"again:{name}")
    for still in Film(Path(name)).stills():
        output.write(nobody_in(still))
    output.close()
    assert len(list(Film(Path(f"again:{name}")).stills())) == 3


@pytest.mark.usefixtures("reader")
@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_name_that_is_not_utf_8_is_read_or_refused(tmp_path: Path) -> None:
    path = film(tmp_path / "a.avi", 3).rename(tmp_path / os.fsdecode(b"\xff.avi"))
    if pyav():
        assert len(list(Film(path).stills())) == 3
    else:
        with pytest.raises(InputError, match="not UTF-8"):
            list(Film(path).stills())
    with pytest.raises(OutputError, match="not UTF-8"):
        DrawnFilm(tmp_path / os.fsdecode(b"o\xff.avi")).write(results(1)[0])


@pytest.mark.usefixtures("reader")
def test_a_film_without_frames_or_without_those_asked_for_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no frames|not a video"):
        list(Film(film(tmp_path / "none.avi", 0)).stills())
    with pytest.raises(InputError, match="none of the requested frames exists; the video has 20 frames"):
        list(Film(film(tmp_path / "a.avi"), Selection(first=20)).stills())


# --- out ------------------------------------------------------------------------------------------------------------


def results(count: int, people: People | None = None, width: int = WIDTH, height: int = HEIGHT) -> list[Result]:
    """Of frames that tell their numbers, ten a second."""
    frames = [grey(number, width, height) for number in range(count)]
    return [
        result_of(people, frame, "a.avi", number=number, time=number / 10, rate=10.0)
        for number, frame in enumerate(frames)
    ]


def nobody_in(still: Still) -> Result:
    return joined(result_of(), still)


@pytest.mark.parametrize("name", ["a.avi", "a.webm", "a.mkv", "a.mp4", "a.mov"])
@pytest.mark.parametrize("size", [(64, 48), (65, 49)])
def test_a_film_plays_with_its_frames_rate_and_size(tmp_path: Path, name: str, size: tuple[int, int]) -> None:
    output = DrawnFilm(tmp_path / name)
    for result in results(12, width=size[0], height=size[1]):
        output.write(result)
        assert not (tmp_path / name).exists()
    output.close()
    assert [path.name for path in tmp_path.iterdir()] == [name]
    frames = played(tmp_path / name)
    assert [number_of(frame) for frame in frames] == list(range(12))
    assert frames[0].shape == (size[1] + size[1] % 2, size[0] + size[0] % 2, 3)
    capture = cv2.VideoCapture(str(tmp_path / name))
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(10, rel=0.01)


@pytest.mark.parametrize("name", ["out.foo", "out", "out.png"])
def test_a_file_that_is_no_video_is_refused_by_its_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=f"{name} is not the name of a video; give a file that ends in .mp4, .avi, "):
        DrawnFilm(tmp_path / name)


def test_people_are_drawn_into_a_film(tmp_path: Path) -> None:
    output = DrawnFilm(tmp_path / "a.avi", codec="ffv1")
    output.write(results(1, someone())[0])
    output.close()
    (frame,) = played(tmp_path / "a.avi")
    assert (frame.astype(int).max(axis=2) - frame.min(axis=2)).max() > 100


def test_frames_of_other_sizes_are_fitted_between_bars(tmp_path: Path) -> None:
    output = DrawnFilm(tmp_path / "a.avi", codec="ffv1")
    output.write(result_of(frame=grey(20)))
    output.write(result_of(frame=grey(20, 24, 48)))
    output.close()
    _, frame = played(tmp_path / "a.avi")
    assert frame.shape == (48, 64, 3)
    np.testing.assert_array_equal(frame[:, :20], 0)
    assert frame[:, 21:43].min() > 190
    np.testing.assert_array_equal(frame[:, 44:], 0)


def test_sound_is_copied_from_where_the_film_begins(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        pictures = container.add_stream("libx264", rate=10)
        pictures.width, pictures.height, pictures.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        sound = container.add_stream("aac", rate=8000)
        sound.layout = "mono"
        for number in range(20):
            container.mux(pictures.encode(av.VideoFrame.from_ndarray(grey(number), format="bgr24")))
        wave = np.sin(np.arange(16000) / 3).astype(np.float32)[None]
        samples = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
        samples.sample_rate, samples.pts = 8000, 0
        container.mux(sound.encode(samples))
        container.mux(sound.encode(None))
        container.mux(pictures.encode(None))
    output = DrawnFilm(tmp_path / "b.mp4")
    for still in Film(tmp_path / "a.mp4", Selection(first=5, last=14)).stills():
        output.write(nobody_in(still))
    output.close()
    with av.open(str(tmp_path / "b.mp4")) as container:
        heard = [float(packet.pts * packet.time_base) for packet in container.demux(audio=0) if packet.dts is not None]
    assert 0 <= min(heard) < 0.15
    assert 0.8 < max(heard) < 1.0


FULL = """
import resource, sys, test_films
from posecv.errors import OutputError
from posecv.outputs.films import DrawnFilm
output = DrawnFilm(sys.argv[1])
for result in test_films.noisy(30):
    output.write(result)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
try:
    output.close()
except OutputError as error:
    sys.exit(str(error))
"""


def noisy(count: int) -> list[Result]:
    random = np.random.default_rng(1)
    frames = [random.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8) for _ in range(count)]
    return [
        result_of(frame=frame, source="a.avi", number=number, time=number / 10, rate=10.0)
        for number, frame in enumerate(frames)
    ]


@pytest.mark.skipif(os.name != "posix", reason="only POSIX limits the size of files")
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
@pytest.mark.parametrize("missing", [2000, 20_000])
def test_a_disk_that_is_full_when_a_film_is_closed_is_an_error(tmp_path: Path, name: str, missing: int) -> None:
    pytest.importorskip("av")
    whole = DrawnFilm(tmp_path / f"whole-{name}")
    for result in noisy(30):
        whole.write(result)
    whole.close()
    size = (tmp_path / f"whole-{name}").stat().st_size
    paths = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "tests")])
    run = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path / name), str(size - missing)],
        env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert run.returncode == 1, run.stderr
    assert f"a.part.{name[2:]} cannot be" in run.stderr
    assert "Traceback" not in run.stderr
    assert not (tmp_path / name).exists()


def test_a_codec_that_is_not_there_is_named_before_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="codec=nonsense"):
        check_codec(Path("a.avi"), "nonsense")
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(UsageError, match="PyAV"):
        check_codec(Path("a.mp4"), "h264")
    check_codec(Path("a.mp4"), None)


def test_without_pyav_a_program_says_once_what_its_films_lack(tmp_path: Path) -> None:
    code = """
import sys
sys.modules["av"] = None
import numpy as np
from pathlib import Path
from posecv.outputs.films import DrawnFilm
from posecv.people import People
from posecv.result import Result
from posecv.skeletons import COCO
from posecv.terminal import silence_opencv
silence_opencv()
result = Result(People.empty(COCO), np.zeros((48, 64, 3), np.uint8), Path(sys.argv[1]), 0, 0.0, 10.0)
for name in sys.argv[2:]:
    with DrawnFilm(name) as output:
        output.write(result)
"""
    (tmp_path / "a.avi").write_bytes(b"strh" + bytes(4) + b"auds")  # the header of a stream of sound
    words = [str(tmp_path / name) for name in ("a.avi", "a.mp4", "b.mp4")]
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run([sys.executable, "-c", code, *words], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (line,) = done.stderr.splitlines()
    assert "browsers" in line
    assert "sound" in line


# --- growing files --------------------------------------------------------------------------------------------------


def test_growing_files_are_whole_after_every_still_and_get_their_names_at_the_end(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.jsonl", "a.csv", "a.json")]
    outputs: list[Output] = [JsonLines(paths[0]), Csv(paths[1]), CocoResults(paths[2])]
    persons = [2, 0, 1]
    for at, result in enumerate(results(3)):
        for output in outputs:
            output.write(replace(result, people=someone(count=persons[at], missing=[WRIST])))
        lines = [json.loads(line) for line in part_of(paths[0]).read_text().splitlines()]
        assert [(line["source"], line["frame"], line["time"]) for line in lines] == [
            ("a.avi", number, number / 10) for number in range(at + 1)
        ]
        assert [len(line["people"]) for line in lines] == persons[: at + 1]
        rows = table(part_of(paths[1]))
        assert len(rows) == len(json.loads(part_of(paths[2]).read_text())) == sum(persons[: at + 1])
    for output in outputs:
        output.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "a.json", "a.jsonl"]
    row, written = table(paths[1])[1], someone().keypoints[0].astype(int)
    assert (row["frame"], row["person"], row["nose_x"], row["neck_y"], row["right_wrist_score"]) == (
        "0", "1", str(written[0, 0]), str(written[1, 1]), "0",
    )  # fmt: skip


def test_coco_results_have_coco_s_order_and_the_picture_s_number(tmp_path: Path) -> None:
    output = CocoResults(tmp_path / "a.json")
    people = someone(missing=[WRIST])
    output.write(result_of(people, source="COCO_val2014_000000000042.jpg"))
    output.close()
    (row,) = json.loads((tmp_path / "a.json").read_text())
    assert row["image_id"] == 42
    assert row["category_id"] == 1
    keypoints = np.array(row["keypoints"]).reshape(17, 3)
    assert keypoints[0].tolist() == [*people.keypoints[0, 0, :2], 1]  # nose
    assert keypoints[1].tolist() == [*people.keypoints[0, COCO.keypoints.index("left_eye"), :2], 1]
    assert keypoints[10].tolist() == [-1, -1, 0]  # right wrist, which is missing
    with pytest.raises(ModelError, match="17 keypoints"):
        CocoResults(tmp_path / "b.json").write(results(1, People.empty(HAND))[0])


# --- runs -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Somebody who walks two pixels a frame to the right."""
    return walking.film(tmp_path_factory.mktemp("films") / "a walk – ö.avi", 40)


def test_all_outputs_of_a_film_come_from_one_pass(
    run_script: RunScript, coco: Pair, walk: Path, tmp_path: Path
) -> None:
    result = run_script(
        "run_multi_pose.py",
        *words(coco, "-i", walk, "-o", "out.avi", "--json", "records", "--csv", "a.csv", "--coco-json", "c.json"),
        *("--first", "4", "--last", "30", "--step", "3"),
    )
    assert result.returncode == 0, result.stderr
    numbers = list(range(4, 31, 3))
    assert len(played(tmp_path / "out.avi")) == len(numbers)
    names = [f"{walk.stem}_{number:012d}_keypoints.json" for number in numbers]
    assert sorted(path.name for path in (tmp_path / "records").iterdir()) == names
    rows = table(tmp_path / "a.csv")
    assert [int(row["frame"]) for row in rows] == numbers
    assert {row["source"] for row in rows} == {str(walk)}
    for number, row, name in zip(numbers, rows, names, strict=True):
        neck = json.loads((tmp_path / "records" / name).read_text())["people"][0]["pose_keypoints_2d"][3:5]
        np.testing.assert_allclose(neck, walker(number)[1, :2] + 0.5, atol=1)
        np.testing.assert_allclose([float(row["neck_x"]), float(row["neck_y"])], neck, atol=1e-3)
        assert float(row["time"]) == pytest.approx(number / 10)
    assert len(json.loads((tmp_path / "c.json").read_text())) == len(numbers)
    assert f"{walk}: {len(numbers)} frames, 1.0 people per frame" in result.stderr


def test_a_folder_of_everything_is_done_and_the_bad_ones_are_named(
    run_script: RunScript, coco: Pair, walk: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "in put"
    folder.mkdir()
    walking.pictures(folder, 3)
    (folder / "film.avi").write_bytes(walk.read_bytes())
    (folder / "bad.avi").write_bytes(b"bad")
    (folder / "bad.png").write_bytes(b"bad")
    result = run_script(
        "run_multi_pose.py", *words(coco, "-i", folder, "-o", "out", "--json", "all.jsonl", "--last", "4")
    )
    assert result.returncode == 1
    assert "4 of 6 inputs done, 2 failed" in result.stderr
    made = {path.name for path in (tmp_path / "out").iterdir()}
    assert {path for path in made if path.endswith(".png")} == {f"p{number}_pose.png" for number in range(3)}
    assert {Path(path).stem for path in made} >= {"film_pose"}
    lines = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    assert len(lines) == 3 + 5
    assert all(len(line["people"]) == 1 for line in lines)


def test_a_run_goes_on_where_another_stopped(run_script: RunScript, coco: Pair, walk: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    walking.pictures(folder, 3)
    (folder / "walk.avi").write_bytes(walk.read_bytes())
    command = ["run_multi_pose.py", *words(coco, "-i", "in", "-o", "out", "--json", "records", "--resume")]
    assert run_script(*command, "--last", "5").returncode == 0
    records = tmp_path / "records"
    (film,) = (path for path in (tmp_path / "out").iterdir() if path.suffix != ".png")
    kept = {path: path.stat().st_mtime_ns for folder in (records, film.parent) for path in folder.iterdir()}
    assert len(kept) == 3 + 1 + 3 + 6
    # A record, a picture and more of the film are missing; all else stays untouched.
    (records / "walk_000000000003_keypoints.json").unlink()
    (tmp_path / "out" / "p1_pose.png").unlink()
    result = run_script(*command, "--last", "7")
    assert result.returncode == 0, result.stderr
    assert "2 of 4 inputs were already done" in result.stderr
    now = {path: path.stat().st_mtime_ns for folder in (records, film.parent) for path in folder.iterdir()}
    changed = {path.name for path in now if now[path] != kept.get(path)}
    assert changed == {
        "walk_000000000003_keypoints.json", "walk_000000000006_keypoints.json", "walk_000000000007_keypoints.json",
        "p1_pose.png",
    }  # fmt: skip
    assert len(json.loads((records / "walk_000000000003_keypoints.json").read_text())["people"]) == 1
    result = run_script(*command[:-1], "--csv", "a.csv", "--resume")
    assert result.returncode == 2
    assert "--csv a.csv is one file" in result.stderr


def begun(coco: Pair, long_film: Path, folder: Path, ready: Callable[[], bool], limit: int | None = None) -> Any:
    """A run over a long film that has begun to write."""
    command = [sys.executable, str(REPOSITORY / "run_multi_pose.py")]
    command += words(coco, "-i", long_film, "-o", "out.avi", "--json", "out.jsonl", "--csv", "out.csv")
    command += ["--coco-json", "out.json"]
    if limit:
        command = ["bash", "-c", f'ulimit -f {limit}; exec "$@"', "bash", *command]
    run = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not ready() and run.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    return run


def parsed(folder: Path, part: str) -> list[int]:
    """How many stills each output holds: film, lines, rows, results."""
    lines = [json.loads(line) for line in (folder / f"out{part}.jsonl").read_text().splitlines()]
    assert [line["frame"] for line in lines] == list(range(len(lines)))
    rows = list(csv.reader((folder / f"out{part}.csv").read_text().splitlines()))
    assert len({len(row) for row in rows}) == 1
    results = json.loads((folder / f"out{part}.json").read_text())
    return [len(played(folder / f"out{part}.avi")), len(lines), len(rows) - 1, len(results)]


def some_lines(folder: Path) -> Callable[[], bool]:
    """Whether a run has written enough stills for FFmpeg's buffers to be emptied some times."""
    part = folder / "out.part.jsonl"
    return lambda: part.exists() and part.read_bytes().count(b"\n") > 150


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_run_that_is_stopped_finishes_its_files(
    coco: Pair, long_film: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    run = begun(coco, long_film, tmp_path, some_lines(tmp_path))
    run.send_signal(number)
    _, said = run.communicate(timeout=60)
    assert run.returncode == code, said
    assert "stopped: 0 of 1 input done" in said
    assert not list(tmp_path.glob("*.part.*"))
    counts = parsed(tmp_path, "")
    assert len(set(counts)) == 1
    assert 150 < counts[0] < 1200


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_what_a_killed_run_leaves_plays_and_parses(coco: Pair, long_film: Path, tmp_path: Path) -> None:
    run = begun(coco, long_film, tmp_path, some_lines(tmp_path))
    run.kill()
    run.communicate(timeout=60)
    assert not (tmp_path / "out.avi").exists()
    counts = parsed(tmp_path, ".part")
    assert min(counts[1:]) >= 150
    assert counts[0] >= counts[1] - 40  # OpenCV writes AVI in blocks


@pytest.mark.skipif(os.name != "posix", reason="limits of POSIX")
def test_a_disk_that_is_full_ends_the_run_with_what_fitted(coco: Pair, long_film: Path, tmp_path: Path) -> None:
    run = begun(coco, long_film, tmp_path, lambda: False, limit=40)  # blocks of 1024 bytes that a file may grow to
    _, said = run.communicate(timeout=60)
    assert run.returncode == 1, said
    assert "cannot be written" in said or "arrived" in said
    assert "Traceback" not in said
    assert (tmp_path / "out.part.jsonl").exists()
    lines = (tmp_path / "out.part.jsonl").read_text().splitlines()
    assert len([json.loads(line) for line in lines[:-1]]) > 10


def test_the_outputs_of_a_film_that_breaks_keep_what_was_there() -> None:
    sink, breaking = Sink(), Frames(3, at_end=raising(InputError("a.avi: broken")))
    assert pipeline.run([Job(breaking, (sink,))], Finds()) == 1
    assert sink.kept == [0, 1, 2, None]


def test_an_output_that_fails_ends_its_film_and_not_the_next(tmp_path: Path) -> None:
    both = [film(tmp_path / "a.avi", 200), film(tmp_path / "b.avi")]
    tried, seen = list[int | None](), list[int]()

    def full(result: Result) -> None:
        tried.append(result.number)
        raise OutputError("a.avi: disk full")

    estimator = Finds(before=lambda frame: seen.append(number_of(frame)))
    assert pipeline.run([Job(Film(both[0]), (Sink(full),)), Job(Film(both[1]))], estimator) == 1
    assert tried == [0]
    assert len(seen) < 60
    assert seen[-20:] == list(range(20))
