"""Batches: the same cut every time, every input's rows exactly once whatever dies, and rows that read back the same."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import posecv
from conftest import HIDDEN, REPOSITORY
from figures import people_at, result_of, someone
from networks import Pair
from posecv.app import batch
from posecv.batch.foreman import Crew, Failed, Lost, Outcome, work_off
from posecv.batch.shards import Shard, cut
from posecv.batch.stores import Item, Store, find_items, patient
from posecv.batch.worker import Order, Written, within
from posecv.errors import PoseError
from posecv.estimators.build import Bodies, NetworkChoice
from posecv.people import People
from posecv.result import Result
from posecv.skeletons import COCO
from posecv.sources.selection import Selection
from walking import film, walk

pytest.importorskip("pyarrow", reason="pyarrow is not installed")
pytest.importorskip("fsspec", reason="fsspec is not installed")

from posecv.batch import tables

ORDER = Order(Bodies(NetworkChoice("light_body")), "memory://none", "settings", '{"settings": "settings"}')


def images(count: int) -> list[Item]:
    return [Item(f"/photos/{number}.jpg", number, "1") for number in range(count)]


class TestCut:
    def test_every_input_is_in_one_shard_and_none_has_too_many(self) -> None:
        shards = cut(images(1000), {}, images=50)
        counted = Counter(item for shard in shards for item in shard.items)
        assert set(counted) == set(images(1000))
        assert set(counted.values()) == {1}
        assert max(len(shard.items) for shard in shards) <= 50

    def test_one_image_more_changes_one_shard(self) -> None:
        few, more = ({shard.name("s") for shard in cut(images(count), {}, images=64)} for count in (500, 501))
        assert len(few - more) == 1
        assert len(more - few) in (1, 2)  # two if the bucket was full

    def test_the_order_of_the_inputs_changes_nothing(self) -> None:
        assert cut(images(300), {}, images=20) == cut(images(300)[::-1], {}, images=20)

    def test_a_part_has_another_name_if_its_input_or_the_settings_change(self) -> None:
        item = Item("/a.jpg", 10, "1")
        names = [Shard((each,)).name("s") for each in (item, replace(item, size=11), replace(item, stamp="2"))]
        assert len({*names, Shard((item,)).name("t"), Shard((item,), (0, 9)).name("s")}) == 5

    def test_a_long_video_is_cut_into_ranges_without_gaps_and_the_last_has_no_end(self) -> None:
        shards = cut([Item("/a.mp4")], {"/a.mp4": 25}, frames=10)
        assert [shard.frames for shard in shards] == [(0, 10), (10, 20), (20, None)]
        assert cut([Item("/a.mp4")], {"/a.mp4": 10}, frames=10) == [Shard((Item("/a.mp4"),))]

    @pytest.mark.parametrize("selection", [Selection(), Selection(3, 40, 7), Selection(0, None, 20), Selection(30)])
    def test_ranges_have_the_frames_of_the_whole_selection(self, selection: Selection) -> None:
        ranges = [(0, 10), (10, 20), (20, 30), (30, None)]
        parts = [part for each in ranges if (part := within(selection, *each))]
        for number in range(60):
            assert sum(part.wants(number) for part in parts) == selection.wants(number)


def two_people() -> People:
    whole = replace(someone(count=2), scores=np.array([0.9, 0.5], np.float32))
    keypoints = whole.keypoints.copy()
    keypoints[1, 4] = 0
    keypoints[0, :, :2] += np.random.default_rng(1).uniform(0, 4000, (18, 2))
    return replace(whole, keypoints=keypoints)


class TestTables:
    def read(self, part: tables.Part, *, compact: bool = False) -> list[Result]:
        return list(tables._results(part.encoded({}, compact=compact)))

    @pytest.mark.parametrize("compact", [False, True])
    def test_what_is_read_back_is_what_was_written(self, compact: bool) -> None:
        part = tables.Part(COCO)
        frames = [
            ("/a.jpg", result_of(two_people())),
            ("/b.mp4", replace(result_of(People.empty(COCO)), number=4, time=0.5)),
            ("/b.mp4", replace(result_of(someone()), number=5, time=0.75)),
        ]
        for source, result in frames:
            part.add(source, result)
        back = self.read(part, compact=compact)
        assert [(each.source.as_posix(), each.number, each.time) for each in back] == [
            ("/a.jpg", None, 0.0), ("/b.mp4", 4, 0.5), ("/b.mp4", 5, 0.75),
        ]  # fmt: skip
        farthest = max(float(np.abs(result.people.keypoints[..., :2]).max(initial=0)) for _, result in frames)
        atol = 0.51 * max(0.1, farthest / 32767) if compact else 0
        for (_, result), each in zip(frames, back, strict=True):
            xy = each.people.keypoints[..., :2]
            np.testing.assert_allclose(xy, result.people.keypoints[..., :2], atol=atol, rtol=0)
            limit = 0.00051 if compact else 0
            np.testing.assert_allclose(each.people.keypoints[..., 2], result.people.keypoints[..., 2], atol=limit)
            np.testing.assert_array_equal(each.people.scores, result.people.scores)

    def test_compact_integers_never_wrap(self) -> None:
        part = tables.Part(COCO)
        far = people_at({0: (100_000.0, 3.0, 0.5), 1: (-70_000.0, 40.0, 0.25)})
        part.add("/a.jpg", result_of(far))
        (back,) = self.read(part, compact=True)
        np.testing.assert_allclose(back.people.keypoints[..., :2], far.keypoints[..., :2], atol=100_000 / 32767)

    def test_ids_hands_and_faces_come_back(self) -> None:
        rng = np.random.default_rng(0)
        hands = rng.uniform(0, 99, (2, 2, 21, 3)).astype(np.float32)
        faces = rng.uniform(0, 99, (2, 70, 3)).astype(np.float32)
        people = replace(two_people(), hands=hands, faces=faces, ids=np.array([7, -1]))
        part = tables.Part(COCO, ("left_hand", "right_hand", "face"), tracked=True)
        part.add("/a.mp4", replace(result_of(people), number=0))
        part.add("/a.mp4", replace(result_of(People.empty(COCO)), number=1))
        back, nobody = self.read(part)
        assert back.people.ids is not None
        assert back.people.ids.tolist() == [7, -1]
        np.testing.assert_array_equal(back.people.hands, hands)
        np.testing.assert_array_equal(back.people.faces, faces)
        assert len(nobody.people) == 0

    def test_joined_parts_have_the_rows_of_both_also_with_different_scales(self) -> None:
        near, far = tables.Part(COCO), tables.Part(COCO)
        near.add("/a.jpg", result_of(people_at({0: (10.0, 20.0, 0.5)})))
        far.add("/b.jpg", result_of(people_at({0: (20_000.0, 30.0, 0.5)})))
        far.errors.append(("/c.jpg", "broken"))
        data = tables.joined([part.encoded({}, compact=True) for part in (near, far)])
        first, second = tables._results(data)
        assert first.people.keypoints[0, 0, :2] == pytest.approx([10, 20], abs=0.5)
        assert second.people.keypoints[0, 0, :2] == pytest.approx([20_000, 30], abs=0.5)
        assert tables.errors_of(data) == [("/c.jpg", "broken")]
        about = tables.about_of(data)
        assert (about["frames"], about["people"]) == (2, 2)

    def test_a_part_without_rows_can_be_read(self) -> None:
        assert self.read(tables.Part(COCO)) == []


class Workers:
    """A crew of one that writes rows into memory; `fate` says what becomes of a shard, None that it is written."""

    def __init__(self, order: Order, fate: Callable[[Shard], Outcome | None]) -> None:
        self._order, self._fate = order, fate
        self.given: list[Shard] = []

    def idle(self) -> Iterable[int]:
        return [0]

    def give(self, worker: int, shard: Shard) -> None:
        self.given.append(shard)

    def wait(self) -> tuple[int, Outcome]:
        shard = self.given[-1]
        if fate := self._fate(shard):
            return 0, fate
        part = tables.Part(COCO)
        for item in shard.items:
            part.add(item.path, result_of(someone()))
        name = f"{shard.name(self._order.settings)}.parquet"
        Store(self._order.output).write(f"{tables.PARTS}/{name}", part.encoded(json.loads(self._order.about)))
        return 0, Written(name, part.frames, part.people, 0)

    def close(self) -> None:
        pass


@pytest.fixture
def order(tmp_path: Path) -> Order:
    return replace(ORDER, output=str(tmp_path / "out"))


class TestStores:
    def test_a_store_that_is_out_of_order_for_a_while_is_asked_again(self) -> None:
        errors = [OSError("503"), TimeoutError("slow")]

        def ask() -> bytes:
            if errors:
                raise errors.pop()
            return b"content"

        assert patient(ask, (0, 0)) == b"content"

    def test_a_file_that_is_missing_is_not_asked_for_again(self) -> None:
        asked = []

        def ask() -> bytes:
            asked.append(1)
            raise FileNotFoundError("none")

        with pytest.raises(FileNotFoundError):
            patient(ask, (0, 0))
        assert len(asked) == 1

    def test_folders_patterns_and_relative_lines_of_lists_are_found_once(self, tmp_path: Path) -> None:
        for name in ("a.jpg", "b/c.png", "b/.d.png", "b/e.md", "f.mp4"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_bytes(b"12")
        (tmp_path / "list.txt").write_text("a.jpg\n\n# b/e.md\nb/c.png\nnone.jpg\n", encoding="utf-8")
        found = {Path(item.path).relative_to(tmp_path).as_posix(): item.size for item in find_items([str(tmp_path)])}
        assert found == {"a.jpg": 2, "b/c.png": 2, "f.mp4": 2}
        listed = find_items([str(tmp_path / "list.txt"), str(tmp_path / "*.jpg")])
        assert [Path(item.path).relative_to(tmp_path).as_posix() for item in listed] == ["a.jpg", "b/c.png", "none.jpg"]


class TestForeman:
    def sources(self, order: Order) -> Counter[str]:
        store = Store(order.output)
        counted: Counter[str] = Counter()
        for name in store.names(tables.PARTS):
            counted.update(str(each.source) for each in tables._results(store.read(f"{tables.PARTS}/{name}")))
        return counted

    def test_a_worker_that_dies_twice_does_its_shard_in_the_third_try(self, order: Order) -> None:
        deaths = iter([Lost(), Lost()])
        crew: Crew = Workers(order, lambda shard: next(deaths, None))
        tally = work_off(cut(images(9), {}, images=16), crew, order, lambda: COCO)
        assert (tally.done, tally.frames, tally.errors) == (1, 9, 0)
        assert set(self.sources(order).values()) == {1}

    @pytest.mark.parametrize("count", [1, 2, 5, 16])
    def test_an_image_that_kills_its_workers_is_found_and_named(self, count: int, order: Order) -> None:
        bad = images(count)[count // 2]
        crew = Workers(order, lambda shard: Lost() if bad in shard.items else None)
        shards = cut(images(count), {}, images=16)
        tally = work_off(shards, crew, order, lambda: COCO)
        assert (tally.done, tally.frames, tally.errors) == (1, count - 1, 1)
        assert self.sources(order) == Counter(item.path for item in images(count) if item != bad)
        store = Store(order.output)
        assert store.names(tables.PARTS) == {f"{shards[0].name(order.settings)}.parquet"}
        (name,) = store.names(tables.PARTS)
        ((path, why),) = tables.errors_of(store.read(f"{tables.PARTS}/{name}"))
        assert path == bad.path
        assert "the worker died, 3 times" in why

    def test_what_a_store_prevents_is_given_up_and_the_rest_is_done(self, order: Order) -> None:
        shards = cut(images(100), {}, images=32)
        crew = Workers(order, lambda shard: Failed("out of order") if shard == shards[1] else None)
        tally = work_off(shards, crew, order, lambda: COCO)
        assert tally.given_up == ["out of order"]
        assert tally.done == len(shards) - 1
        assert crew.given.count(shards[1]) == 3

    def test_an_error_that_every_shard_would_meet_ends_the_run(self, order: Order) -> None:
        crew = Workers(order, lambda shard: Failed("no such network", fatal=True))
        with pytest.raises(PoseError, match="no such network"):
            work_off(cut(images(100), {}, images=32), crew, order, lambda: COCO)
        assert len(crew.given) == 1


# ------------------------------------------------------------------------------------------------------- whole runs


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images, one of them broken, in a folder of it too, and a video."""
    folder = tmp_path_factory.mktemp("batch") / "in"
    (folder / "deeper").mkdir(parents=True)
    for number in range(6):
        place = folder / "deeper" if number % 2 else folder
        cv2.imwrite(str(place / f"{number}.png"), walk(number))
    (folder / "broken.jpg").write_bytes(b"\xff\xd8 no image")
    (folder / "notes.md").write_text("no input")
    film(folder / "film.avi", 12)
    return folder


def run(coco: Pair, *words: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if name not in HIDDEN}
    command = [sys.executable, "-m", "posecv", "batch", *map(str, words), "-p", str(coco[0]), "-m", str(coco[1])]
    env["PYTHONPATH"] = str(REPOSITORY)
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=240)


def expected(coco: Pair, folder: Path) -> dict[tuple[str, int | None], np.ndarray[Any, Any]]:
    """The keypoints of every frame as one process finds them, image after image."""
    network = posecv.load_network(*coco)
    files = [path for path in folder.rglob("*") if path.suffix in (".png", ".avi")]
    return {
        (str(result.source), result.number): result.people.keypoints
        for file in files
        for result in posecv.stream(str(file), network)
    }


def assert_same(found: Iterator[Result], wanted: dict[tuple[str, int | None], np.ndarray[Any, Any]]) -> None:
    rows = [((str(result.source), result.number), result.people.keypoints) for result in found]
    assert Counter(key for key, _ in rows) == Counter(wanted.keys())
    for key, keypoints in rows:
        np.testing.assert_array_equal(keypoints, wanted[key])


def test_a_run_finds_what_one_process_finds_and_names_what_cannot_be_read(
    coco: Pair, inputs: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = run(coco, inputs, "-o", out, "--workers", "2", "--shard-size", "2")
    assert done.returncode == 1, done.stderr
    assert_same(posecv.read_results(out), expected(coco, inputs))
    parquet = pytest.importorskip("pyarrow.parquet")
    errors = parquet.read_table(io.BytesIO((out / "errors.parquet").read_bytes())).to_pylist()
    assert [row["source"] for row in errors] == [str(inputs / "broken.jpg")]
    before = {path: path.stat().st_mtime_ns for path in (out / "parts").iterdir()}
    again = run(coco, inputs, "-o", out, "--workers", "2", "--shard-size", "2")
    assert "0 of them" not in again.stderr
    assert {path: path.stat().st_mtime_ns for path in (out / "parts").iterdir()} == before
    other = run(coco, inputs, "-o", out, "--shard-size", "2", "--net-size", "-1x192", "--workers", "1")
    assert other.returncode == 1
    assert len(list((out / "parts").iterdir())) == 2 * len(before)


def test_an_image_that_changes_is_done_again_and_its_old_rows_are_gone(coco: Pair, tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for number in range(3):
        cv2.imwrite(str(folder / f"{number}.png"), walk(number))
    words = [str(folder), "-o", str(out), "-p", str(coco[0]), "-m", str(coco[1]), "--workers", "1"]
    assert batch.main(words) == 0
    cv2.imwrite(str(folder / "1.png"), walk(9))
    assert batch.main(words) == 0
    assert_same(posecv.read_results(out), expected(coco, folder))


def test_memory_and_lists_are_inputs_and_outputs(coco: Pair, tmp_path: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    files = fsspec.filesystem("memory")
    for number in range(2):
        files.pipe_file(f"/photos/{number}.png", cv2.imencode(".png", walk(number))[1].tobytes())
    (tmp_path / "list.txt").write_text("# two\nmemory://photos/0.png\nmemory://photos/1.png\nmemory://photos/none.png\n")
    pair = ["-p", str(coco[0]), "-m", str(coco[1])]
    assert batch.main([str(tmp_path / "list.txt"), "-o", "memory://results", *pair]) == 1
    found = {result.source.name: result.people.keypoints for result in posecv.read_results("memory://results")}
    network = posecv.load_network(*coco)
    for number in range(2):
        wanted = posecv.estimate_people(network, walk(number))
        np.testing.assert_array_equal(found[f"{number}.png"], wanted.keypoints)
    assert len(found) == 2


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_a_run_whose_process_and_worker_are_killed_is_finished_by_the_next(coco: Pair, tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for number in range(120):
        cv2.imwrite(str(folder / f"{number}.png"), walk(number % 30))
    film(folder / "film.avi", 40)
    words = [str(folder), "-o", str(out), "-p", str(coco[0]), "-m", str(coco[1]), "--workers", "2", "--shard-size", "4"]
    env = {name: value for name, value in os.environ.items() if name not in HIDDEN} | {"PYTHONPATH": str(REPOSITORY)}

    def begun() -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "posecv", "batch", *words]
        return subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True)

    def wait_for(parts: int, process: subprocess.Popen[str]) -> None:
        while process.poll() is None and (not out.exists() or len(list(out.glob("parts/*.parquet"))) < parts):
            time.sleep(0.02)
        assert process.poll() is None, process.communicate()[1]

    first = begun()
    wait_for(2, first)
    workers = children_of(first.pid)
    os.kill(workers[0], signal.SIGKILL)
    wait_for(4, first)
    workers = children_of(first.pid)
    first.kill()
    first.communicate()
    deadline = time.monotonic() + 60
    while any(map(is_alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(is_alive, workers)), "workers end with their parent"
    last = begun()
    _, said = last.communicate(timeout=240)
    assert last.returncode == 0, said
    assert_same(posecv.read_results(out), expected(coco, folder))


def children_of(number: int) -> list[int]:
    """The worker processes of a process; multiprocessing's tracker of resources is not one."""
    folders = [path for path in Path("/proc").iterdir() if path.name.isdecimal()]
    return [
        int(path.name) for path in folders if parent_of(path) == number and b"spawn_main" in read(path / "cmdline")
    ]


def parent_of(process: Path) -> int:
    """The parent of a process that lives; 0 of one that does not."""
    _, _, rest = read(process / "stat").rpartition(b") ")
    state, parent, *_ = rest.split() or (b"Z", b"0")
    return 0 if state == b"Z" else int(parent)


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it has just ended
        return b""


def is_alive(number: int) -> bool:
    return parent_of(Path("/proc") / str(number)) > 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-o", "out"], "no input"),
        (["{in}"], "no output"),
        (["{in}", "-o", "out", "--workers", "0"], "--workers 0: give 1 or more"),
        (["{in}", "-o", "out", "--labels", "name"], "--labels has no part in a batch"),
        (["{in}/nothing/*.jpg", "-o", "out"], "no images or videos there"),
        (["{in}", "-o", "strange://out"], "strange"),
    ],
)
def test_bad_words_get_one_line(
    words: list[str], said: str, coco: Pair, inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [word.replace("{in}", str(inputs)).replace("out", str(tmp_path / "out")) for word in words]
    assert batch.main([*words, "-p", str(coco[0]), "-m", str(coco[1])]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert re.search(said, lines[0])


def test_two_runs_cannot_write_into_one_folder(
    coco: Pair, inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with batch._owned(str(tmp_path / "out")):
        words = [str(inputs), "-o", str(tmp_path / "out"), "-p", str(coco[0]), "-m", str(coco[1])]
        assert batch.main(words) == 2
    assert "another run" in capsys.readouterr().err
