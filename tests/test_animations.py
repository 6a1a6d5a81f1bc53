"""Animated images, pages of TIFFs, and videos with unusual suffixes: every frame is read."""

from __future__ import annotations

import struct
import sys
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from figures import result_of
from posecv.arrays import Frame
from posecv.errors import InputError, UsageError
from posecv.outputs import pictures
from posecv.outputs.files import plan_files
from posecv.outputs.films import DrawnFilm, check_codec
from posecv.sources.animations import Page, is_animated
from posecv.sources.films import Film
from posecv.sources.find import find_sources
from posecv.sources.pictures import FILM_SUFFIXES, Picture
from posecv.sources.selection import Selection

SHADE = 40
COUNT = 6


def grey(number: int) -> Frame:
    return np.full((48, 64, 3), SHADE * number, np.uint8)


def numbers_of(stills: list[Any]) -> list[int]:
    return [round(float(still.frame.mean()) / SHADE) for still in stills]


def _codes(pixels: bytes) -> bytes:
    """GIF's codes of pixels of up to 128 colours, never shortened: a clear code before it would become longer."""
    codes = [each for place in range(0, len(pixels), 100) for each in (128, *pixels[place : place + 100])] + [129]
    bits = sum(code << 8 * index for index, code in enumerate(codes))
    data = bits.to_bytes(len(codes), "little")
    blocks = [data[place : place + 255] for place in range(0, len(data), 255)]
    return b"\x07" + b"".join(bytes([len(block)]) + block for block in blocks) + b"\0"


def gif(path: Path, count: int = COUNT) -> Path:
    """Ten frames a second."""
    data = b"GIF89a" + struct.pack("<HHBBB", 64, 48, 0b11110110, 0, 0)
    data += bytes(value for index in range(128) for value in (min(255, SHADE * index),) * 3)
    for number in range(count):
        data += b"!\xf9\x04\0\x0a\0\0\0," + struct.pack("<HHHHB", 0, 0, 64, 48, 0) + _codes(bytes([number]) * 64 * 48)
    path.write_bytes(data + b";")
    return path


def apng(path: Path, count: int = COUNT) -> Path:
    """Ten frames a second."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 48, 8, 0, 0, 0, 0))
    data += chunk(b"acTL", struct.pack(">II", count, 0))
    sequence = 0
    for number in range(count):
        rows = zlib.compress((b"\0" + bytes([SHADE * number]) * 64) * 48)
        data += chunk(b"fcTL", struct.pack(">IIIIIHHBB", sequence, 64, 48, 0, 0, 1, 10, 0, 0))
        sequence += 1
        if number:
            data += chunk(b"fdAT", struct.pack(">I", sequence) + rows)
            sequence += 1
        else:
            data += chunk(b"IDAT", rows)
    path.write_bytes(data + chunk(b"IEND", b""))
    return path


def by_pillow(path: Path, count: int = COUNT) -> Path:
    image = pytest.importorskip("PIL.Image", reason="the test makes its input with Pillow")
    first, *others = (image.fromarray(grey(number)) for number in range(count))
    options = {"lossless": True} if path.suffix == ".webp" else {"quality": 100}
    try:
        first.save(path, save_all=True, append_images=others, duration=100, **options)
    except (KeyError, OSError):
        pytest.skip("this Pillow cannot write the format")
    return path


@pytest.mark.parametrize(
    ("name", "make"), [("a.gif", gif), ("a.png", apng), ("a.webp", by_pillow), ("a.avif", by_pillow)]
)
def test_every_frame_of_an_animated_image_is_read_named_alone_and_in_a_folder(
    tmp_path: Path, name: str, make: Any, reader: Any
) -> None:
    path = make(tmp_path / name)
    reader()
    for word in (str(path), str(tmp_path)):
        (source,) = find_sources([word], Selection())
        assert source.has_frames
        stills = list(source.stills())
        assert numbers_of(stills) == list(range(COUNT))
        assert [still.number for still in stills] == list(range(COUNT))
        np.testing.assert_allclose([still.time for still in stills], np.arange(COUNT) / 10, atol=2e-3)
        assert stills[0].rate == pytest.approx(10)


@pytest.mark.parametrize(("name", "make"), [("a.gif", gif), ("a.png", apng), ("a.webp", by_pillow)])
def test_an_image_of_one_frame_stays_an_image(tmp_path: Path, name: str, make: Any) -> None:
    (source,) = find_sources([str(make(tmp_path / name, 1))], Selection())
    assert isinstance(source, Picture)


def test_an_animated_webp_is_read_without_pillow_or_asks_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = by_pillow(tmp_path / "a.webp")
    monkeypatch.setitem(sys.modules, "PIL", None)
    if hasattr(cv2, "imreadanimation"):
        assert numbers_of(list(Film(path).stills())) == list(range(COUNT))
    else:
        with pytest.raises(InputError, match="pip install pillow"):
            list(Film(path).stills())


@pytest.mark.parametrize("make", [gif, apng])
def test_an_animation_cut_anywhere_is_no_crash(tmp_path: Path, make: Any) -> None:
    data = make(tmp_path / "a").read_bytes()
    for end in range(0, len(data), 37):
        (tmp_path / "b").write_bytes(data[:end])
        assert is_animated(tmp_path / "b") in (True, False)


def test_the_pages_of_a_tiff_are_stills(tmp_path: Path) -> None:
    cv2.imwritemulti(str(tmp_path / "scan.tif"), [grey(number) for number in range(3)])
    cv2.imwrite(str(tmp_path / "single.tif"), grey(1))
    sources = find_sources([str(tmp_path)], Selection())
    assert [source.path.stem for source in sources] == ["scan_page1", "scan_page2", "scan_page3", "single"]
    assert not any(source.has_frames for source in sources)
    assert numbers_of([still for source in sources for still in source.stills()]) == [0, 1, 2, 1]
    with pytest.raises(InputError, match=r"scan_page9\.tif: the page"):
        list(Page(tmp_path / "scan.tif", 8, Selection()).stills())


def test_consecutive_jpegs_in_a_file_are_a_video(tmp_path: Path, reader: Any) -> None:
    images = [cv2.imencode(".jpg", grey(number))[1].tobytes() for number in range(COUNT)]
    (tmp_path / "a.mjpeg").write_bytes(b"".join(images))
    reader()
    (source,) = find_sources([str(tmp_path)], Selection())
    stills = list(source.stills())
    assert numbers_of(stills) == list(range(COUNT))
    np.testing.assert_allclose([still.time for still in stills], np.arange(COUNT) / 25, atol=2e-3)


def test_videos_of_recorders_and_discs_are_found_in_folders(tmp_path: Path) -> None:
    suffixes = ".m2ts .vob .asf .h264 .hevc .mxf .m2v .dv .ogg .y4m .3gp .divx .mjpeg".split()
    assert set(suffixes) <= FILM_SUFFIXES
    for suffix in suffixes:
        (tmp_path / f"a{suffix}").touch()
    sources = find_sources([str(tmp_path)], Selection())
    assert {source.path.suffix for source in sources} == set(suffixes)
    assert all(source.has_frames for source in sources)


# --- out ------------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["PyAV", "Pillow"])
def writer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What follows holds for both packages that write animated GIFs."""
    pytest.importorskip({"PyAV": "av", "Pillow": "PIL"}[request.param])
    if request.param == "Pillow":
        monkeypatch.setitem(sys.modules, "av", None)


def drawn(path: Path, times: list[float]) -> list[Any]:
    """The frames of an animated GIF that was drawn, as a video."""
    with DrawnFilm(path) as output:
        for number, time in enumerate(times):
            output.write(result_of(frame=grey(number), source="a.avi", number=number, time=time, rate=10.0))
    return list(Film(path).stills())


@pytest.mark.usefixtures("writer")
def test_an_animated_gif_is_drawn_with_its_frames_and_times(tmp_path: Path) -> None:
    stills = drawn(tmp_path / "a.gif", [0, 0.1, 0.2, 0.5, 0.6])
    assert numbers_of(stills) == list(range(5))
    np.testing.assert_allclose([still.time for still in stills], [0, 0.1, 0.2, 0.5, 0.6], atol=1e-3)
    assert [path.name for path in tmp_path.iterdir()] == ["a.gif"]


@pytest.mark.usefixtures("writer")
def test_frames_that_are_too_fast_for_a_gif_are_left_out_but_none_is_late(tmp_path: Path) -> None:
    stills = drawn(tmp_path / "a.gif", [0, 0.01, 0.02, 0.03, 0.04])
    assert numbers_of(stills) == [0, 2, 4]
    np.testing.assert_allclose([still.time for still in stills], [0, 0.02, 0.04], atol=1e-3)


def test_an_animated_gif_without_a_package_that_writes_it_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="codec=mjpg"):
        check_codec(tmp_path / "a.gif", "mjpg")
    monkeypatch.setitem(sys.modules, "av", None)
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(UsageError, match="needs Pillow or PyAV; pip install pillow"):
        check_codec(tmp_path / "a.gif", None)


@pytest.mark.parametrize("name", ["out.pdf", "out.svg", "out.zip", "out.wmv", "out.HTML", "out.txt"])
def test_a_name_of_another_format_is_no_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=rf"output=.*{name}: .* is not supported"):
        plan_files([Path("a.png")], str(tmp_path / name), pictures.KIND)
    (tmp_path / name).mkdir()
    assert plan_files([Path("a.png")], str(tmp_path / name), pictures.KIND)[0].parent == tmp_path / name
    assert plan_files([Path("a.png")], f"{tmp_path}/new-{name}/", pictures.KIND)[0].parent == tmp_path / f"new-{name}"
