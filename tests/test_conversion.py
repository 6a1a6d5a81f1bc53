"""`python -m posecv.convert`, the copies that are kept, and networks loaded from ONNX."""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from conftest import REPOSITORY, RunScript
from networks import Layers, Pair, broken_pairs, packed_network, painted_network
from posecv.app import convert
from posecv.engines.fastest import candidates
from posecv.engines.network import load_network
from posecv.errors import ModelError
from posecv.files import unfinished_file
from posecv.formats import conversion, onnx
from posecv.formats.conversion import ORIGIN, convert_pair, kept_or_converted
from posecv.models import cache_folder, sha256_of
from posecv.skeletons import COCO, MPI, MPI_4_STAGES, Skeleton

OWN = REPOSITORY / "models" / "light_hand"
OWN_PAIR = OWN / "pose.prototxt", OWN / "pose.caffemodel"


def blob(height: int = 32, width: int = 48) -> Any:
    return np.random.default_rng(3).uniform(-0.5, 0.5, (1, 3, height, width)).astype(np.float32)


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return painted_network(tmp_path / "pair", COCO)


# ---------------------------------------------------------------------------------------------------- the command


def test_the_command_writes_the_file_and_says_so_in_a_line(
    pair: Pair, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "new" / "pose.onnx"
    assert convert.main([*map(str, pair), str(target)]) == 0
    out, err = capsys.readouterr()
    assert (out.count("\n"), err) == (1, "")
    assert str(target) in out
    assert target.read_bytes() == convert_pair(*pair)
    assert os.listdir(target.parent) == ["pose.onnx"]


def test_it_lies_beside_the_weights_where_no_place_is_named(pair: Pair) -> None:
    assert convert.main([*map(str, pair)]) == 0
    assert pair[1].with_name("pose.onnx").is_file()


def test_it_runs_as_a_module_and_its_help_shows_how(tmp_path: Path) -> None:
    run = [sys.executable, "-m", "posecv.convert"]
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    words = [str(path) for path in OWN_PAIR]
    done = subprocess.run([*run, *words, "hand.onnx"], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert os.listdir(tmp_path) == ["hand.onnx"]
    assert "PROTOTXT CAFFEMODEL" in subprocess.run([*run, "--help"], env=env, capture_output=True, text=True).stdout
    done = subprocess.run(run, env=env, capture_output=True, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


@pytest.mark.parametrize("fault", ["prototxt missing", "caffemodel cut short", "caffemodel page", "swapped"])
def test_a_pair_that_is_no_good_is_one_line_and_leaves_nothing(
    pair: Pair, tmp_path: Path, fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    prototxt, caffemodel, words = broken_pairs(tmp_path / "broken", pair)[fault]
    target = tmp_path / "made" / "pose.onnx"
    assert convert.main([str(prototxt), str(caffemodel), str(target)]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert words in err
    assert not target.parent.exists()


def test_a_layer_that_cannot_be_converted_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network = Layers()
    network.layers.append({"name": ["x"], "type": ["Input"], "top": ["x"],
                           "input_param": [{"shape": [{"dim": [1, 3, 8, 8]}]}]})  # fmt: skip
    network.convolution("conv", "x", np.zeros((2, 3, 1, 1)), np.zeros(2))
    network.add("norm", "LRN", ["conv"])
    assert convert.main([*map(str, network.write(tmp_path)), str(tmp_path / "a.onnx")]) == 2
    assert "layer 'norm' of type LRN" in capsys.readouterr().err


def test_the_pair_itself_is_never_written_over(pair: Pair, capsys: pytest.CaptureFixture[str]) -> None:
    before = pair[1].read_bytes()
    assert convert.main([*map(str, pair), str(pair[1])]) == 2
    assert "would be overwritten" in capsys.readouterr().err
    assert pair[1].read_bytes() == before


def test_a_disk_that_is_full_is_exit_code_1_and_leaves_nothing(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(source: object, target: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    target = tmp_path / "pose.onnx"
    target.write_bytes(b"before")
    assert convert.main([*map(str, pair), str(target)]) == 1
    assert "no space left" in capsys.readouterr().err
    assert (target.read_bytes(), sorted(os.listdir(tmp_path))) == (b"before", ["pair", "pose.onnx"])


def test_an_interrupted_conversion_leaves_nothing(pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(source: object, target: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    assert convert.main([*map(str, pair), str(tmp_path / "pose.onnx")]) == 130
    assert os.listdir(tmp_path) == ["pair"]


# ------------------------------------------------------------------------------------------------ what is kept


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of copies."""
    monkeypatch.setenv("POSECV_CACHE", str(tmp_path / "kept"))
    return tmp_path / "kept" / "onnx"


@dataclass
class Keeper:
    """Keeps copies of pairs of any size, and counts the conversions."""

    conversions: int = 0

    def __call__(self, prototxt: Path, caffemodel: Path) -> bytes:
        return kept_or_converted(prototxt, caffemodel, small=0, convert=self.convert)

    def convert(self, prototxt: Path, caffemodel: Path, *, thin: bool, stages: int | None) -> bytes:
        self.conversions += 1
        return convert_pair(prototxt, caffemodel, thin=thin, stages=stages)


@pytest.fixture
def kept() -> Keeper:
    return Keeper()


def test_a_pair_is_converted_once_and_found_by_its_content(
    pair: Pair, folder: Path, kept: Keeper, tmp_path: Path
) -> None:
    first = kept(*pair)
    assert first.startswith(convert_pair(*pair))
    (tmp_path / "moved").mkdir()
    moved = tuple(Path(path.replace(tmp_path / "moved" / path.name)) for path in pair)
    assert kept(*moved) == first
    assert kept.conversions == len(os.listdir(folder)) == 1
    cv2.dnn.readNetFromONNX(np.frombuffer(first, np.uint8))


def test_another_content_is_another_copy(pair: Pair, folder: Path, kept: Keeper, tmp_path: Path) -> None:
    kept(*pair)
    other = pair[0].with_name("other.prototxt")
    other.write_text(pair[0].read_text(encoding="utf-8") + "# a comment\n", encoding="utf-8")
    kept(other, pair[1])
    kept(*packed_network(tmp_path / "packed", COCO))
    assert kept.conversions == len(os.listdir(folder)) == 3


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "other"])
def test_a_damaged_copy_is_made_again(pair: Pair, folder: Path, kept: Keeper, damage: str) -> None:
    whole = kept(*pair)
    (copy,) = folder.iterdir()
    middle = len(whole) // 2
    flipped = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
    copy.write_bytes({"cut": whole[:middle], "flipped": flipped, "empty": b"", "other": b"<html>" * 99}[damage])
    assert kept(*pair) == whole == copy.read_bytes()
    assert kept.conversions == 2


def test_the_unfinished_copy_of_a_killed_run_is_removed_by_the_next(pair: Pair, folder: Path, kept: Keeper) -> None:
    kept(*pair)
    old, new = unfinished_file(folder), unfinished_file(folder)
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))  # nobody has written to it since 1970; the other may be another program's
    kept(*pair)
    assert not old.exists()
    assert new.exists()


def test_a_folder_that_cannot_be_written_to_does_no_harm(pair: Pair, folder: Path, kept: Keeper) -> None:
    folder.parent.write_text("in the way")
    assert kept(*pair) == kept(*pair)
    assert kept.conversions == 2


def test_several_may_convert_at_once(pair: Pair, folder: Path, kept: Keeper) -> None:
    with ThreadPoolExecutor(4) as pool:
        made = set(pool.map(lambda _: kept(*pair), range(8)))
    assert len(made) == 1
    assert [path.read_bytes() for path in folder.iterdir()] == list(made)


def test_a_small_pair_is_converted_in_memory(pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSECV_CACHE", str(tmp_path / "kept"))
    assert kept_or_converted(*pair) == convert_pair(*pair)
    assert not (tmp_path / "kept").exists()


@pytest.mark.parametrize("engine", ["opencv", "openvino", "onnxruntime", "auto"])
def test_a_file_of_weights_is_read_and_hashed_once_while_it_is_loaded(
    engine: str, light_coco: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if engine not in ("opencv", "auto"):
        pytest.importorskip(engine, reason=f"the package {engine} is not installed")
    monkeypatch.setenv("POSECV_CACHE", str(tmp_path / "kept"))
    read: list[Path] = []
    hashed: list[int] = []
    made: list[Path] = []
    whole, sha256, size = Path.read_bytes, hashlib.sha256, light_coco[1].stat().st_size

    def read_bytes(path: Path) -> bytes:
        read.append(path)
        return whole(path)

    def hash_of(data: bytes = b"") -> Any:
        hashed.append(len(data))
        return sha256(data)

    def converted(prototxt: Path, caffemodel: Path, *, thin: bool, stages: int | None) -> bytes:
        made.append(caffemodel)
        return convert_pair(prototxt, caffemodel, thin=thin, stages=stages)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    monkeypatch.setattr(hashlib, "sha256", hash_of)
    monkeypatch.setattr(conversion, "convert_pair", converted)
    before = bytes_read()
    network = load_network(*light_coco, engine=engine, device="cpu", net_size="64x64")
    after = bytes_read()
    assert read.count(light_coco[1]) == hashed.count(size) == 1
    tried = list(candidates(network.model)) if engine == "auto" else [engine]
    assert len(made) == (0 if tried == ["opencv"] and hasattr(cv2.dnn, "readNetFromCaffe") else 1)
    if before is not None and after is not None and engine == "opencv":  # other engines' packages are read too
        assert size <= after - before < 1.5 * size


def bytes_read() -> int | None:
    """How much this process has read, as Linux tells; None elsewhere."""
    with contextlib.suppress(OSError):
        return int(Path("/proc/self/io").read_text().split()[1])
    return None


def test_a_file_that_changes_is_loaded_as_it_is_now(tmp_path: Path) -> None:
    pair = painted_network(tmp_path / "pair", COCO)
    other = packed_network(tmp_path / "other", COCO)
    first = load_network(*pair, device="cpu").maps(blob())
    for path, another in zip(pair, other, strict=True):
        before = path.stat()
        path.write_bytes(another.read_bytes())
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    changed = load_network(*pair, device="cpu").maps(blob())
    assert np.abs(changed - first).max() > 0.1
    np.testing.assert_array_equal(changed, load_network(*other, device="cpu").maps(blob()))


def test_without_the_variable_copies_lie_where_the_system_keeps_such_things(
    pair: Pair, kept: Keeper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("POSECV_CACHE", raising=False)
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA", "HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    kept(*pair)
    (copy,) = tmp_path.rglob("*.onnx")
    assert copy.parent == cache_folder("onnx")


# ---------------------------------------------------------------------------------------------- networks from ONNX


def onnx_of(pair: Pair, path: Path) -> Path:
    path.write_bytes(convert_pair(*pair))
    return path


@pytest.mark.parametrize("skeleton", [COCO, MPI, MPI_4_STAGES], ids=repr)
def test_an_onnx_file_alone_is_the_network_of_its_pair(skeleton: Skeleton, tmp_path: Path) -> None:
    pair = painted_network(tmp_path, skeleton)
    by_pair, alone = load_network(*pair, device="cpu"), load_network(onnx_of(pair, tmp_path / "a.onnx"), device="cpu")
    assert alone.skeleton is by_pair.skeleton is skeleton
    assert (alone.model.name, alone.has_fields) == ("a", by_pair.has_fields)
    for size in ((32, 48), (64, 32)):
        np.testing.assert_allclose(alone.maps(blob(*size)), by_pair.maps(blob(*size)), atol=1e-4)


def test_two_outputs_come_in_the_skeletons_order(tmp_path: Path) -> None:
    pair = painted_network(tmp_path, COCO, outputs="split")
    by_pair, alone = load_network(*pair, device="cpu"), load_network(onnx_of(pair, tmp_path / "a.onnx"), device="cpu")
    np.testing.assert_allclose(alone.maps(blob()), by_pair.maps(blob()), atol=1e-4)


def test_an_onnx_file_of_a_known_caffemodel_has_its_constants(tmp_path: Path) -> None:
    path = onnx_of(OWN_PAIR, tmp_path / "renamed.onnx")
    assert onnx.properties(path.read_bytes()) == {ORIGIN: sha256_of(OWN_PAIR[1])}
    found, expected = load_network(path, device="cpu").model, load_network("light_hand", device="cpu").model
    assert found.name == expected.name == "light_hand"
    assert (found.preprocessing, found.thresholds) == (expected.preprocessing, expected.thresholds)
    assert (found.use, found.net_side) == (expected.use, expected.net_side)


def test_a_pair_is_read_by_way_of_onnx_where_opencv_has_no_caffe_importer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = painted_network(tmp_path, COCO, outputs="split")
    expected = load_network(*pair, device="cpu")
    monkeypatch.delattr(cv2.dnn, "readNetFromCaffe", raising=False)
    network = load_network(*pair, device="cpu", engine="opencv")
    assert "converted to ONNX" in network.engine.note
    np.testing.assert_allclose(network.maps(blob()), expected.maps(blob()), atol=1e-4)


def test_that_is_said_once_with_v_and_not_without(pair: Pair, tmp_path: Path, run_script: RunScript) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import cv2\nif hasattr(cv2.dnn, 'readNetFromCaffe'):\n    del cv2.dnn.readNetFromCaffe\n"
    )
    for name in "ab":
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.zeros((64, 64, 3), np.uint8))
    words = ("-p", pair[0], "-m", pair[1], "-i", "a.png", "b.png", "--json", "out/", "--engine", "opencv")
    for verbose, often in (((), 0), (("-v",), 1)):
        done = run_script("run_multi_pose.py", *words, *verbose, env={"PYTHONPATH": str(tmp_path)})
        assert done.returncode == 0, done.stderr
        assert done.stderr.count("converted to ONNX") == often


def test_scripts_take_an_onnx_file_with_m_alone(pair: Pair, tmp_path: Path, run_script: RunScript) -> None:
    onnx_of(pair, tmp_path / "a.onnx")
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((64, 64, 3), np.uint8))
    done = run_script("run_pose.py", "-m", "a.onnx", "-i", "a.png", "--json", "a.json", "-v")
    assert done.returncode == 0, done.stderr
    assert "network a (coco)" in done.stderr
    done = run_script("run_pose.py", "-p", pair[0], "-m", "a.onnx", "-i", "a.png", "--json", "a.json")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "without -p" in done.stderr


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "missing"),
        (b"", "empty"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1", "Git-LFS"),
        (b"just text", "is text"),
        (b"\x08\x07\x12\xff\x01", "ends early"),
        (b"\x08\x07", "unknown shape"),
        (bytes(range(256)), "complete ONNX file"),
    ],
)
def test_an_onnx_file_that_is_none_is_named_as_what_it_is(content: bytes | None, words: str, tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelError, match=words) as error:
        load_network(path)
    assert "a.onnx" in str(error.value)
    assert "\n" not in str(error.value)


def test_an_onnx_file_cut_short_is_one_line(pair: Pair, tmp_path: Path) -> None:
    path = onnx_of(pair, tmp_path / "a.onnx")
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ModelError, match=r"a\.onnx"):
        load_network(path)


@pytest.mark.parametrize("channels", [1, 4])
def test_a_network_for_other_channels_than_a_pictures_is_refused(channels: int, tmp_path: Path) -> None:
    network = Layers()
    network.layers.append({"name": ["x"], "type": ["Input"], "top": ["x"],
                           "input_param": [{"shape": [{"dim": [1, channels, 8, 8]}]}]})  # fmt: skip
    network.convolution("conv", "x", np.zeros((57, channels, 8, 8)), np.zeros(57), stride=8)
    with pytest.raises(ModelError, match=f"any x {channels} x any x any"):
        load_network(onnx_of(network.write(tmp_path), tmp_path / "a.onnx"))
