"""Sources: which files are meant, what each of them holds, and what is said of those that hold nothing."""

from __future__ import annotations

import contextlib
import io
import os
import struct
import threading
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from posecv.errors import InputError
from posecv.sources.find import find_sources
from posecv.sources.pictures import _searched, find_files, jpegs, read_picture
from posecv.sources.selection import Selection
from posecv.sources.streams import StandardInput, pipe
from posecv.terminal import quiet_stderr

Frame = NDArray[np.uint8]


def quadrants() -> Frame:
    """40 x 24 pixels: red, green above blue, white; flat, so that lossy formats keep it."""
    frame = np.zeros((24, 40, 3), np.uint8)
    frame[:12, :20], frame[:12, 20:] = (0, 0, 255), (0, 255, 0)
    frame[12:, :20], frame[12:, 20:] = (255, 0, 0), (255, 255, 255)
    return frame


def noise(width: int = 200, height: int = 150) -> Frame:
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)


def encoded(suffix: str, frame: NDArray[Any], *options: int) -> bytes:
    return cv2.imencode(suffix, frame, options)[1].tobytes()


def file(folder: Path, name: str, content: bytes) -> Path:
    (folder / name).write_bytes(content)
    return folder / name


def with_exif(jpeg: bytes, orientation: int, thumbnail: bytes = b"") -> bytes:
    """A JPEG with an EXIF segment that holds its orientation and, behind it, a thumbnail."""
    entry = struct.pack("<HHII", 0x0112, 3, 1, orientation)
    content = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1) + entry + struct.pack("<I", 0) + thumbnail
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content + jpeg[2:]


def palette_png(indices: NDArray[np.uint8], palette_rgb: bytes) -> bytes:
    """A PNG of 8-bit palette indices, chunk by chunk."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    height, width = indices.shape
    rows = b"".join(b"\0" + row.tobytes() for row in indices)
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    parts = ((b"IHDR", header), (b"PLTE", palette_rgb), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


# --- which files ----------------------------------------------------------------------------------------------------


def test_a_folder_stands_for_its_pictures_and_films_in_natural_order(tmp_path: Path) -> None:
    for name in ("img10.png", "img2.JPG", "img1.webp", "notes.txt", ".hidden.png", "film.mp4", "film.part.mp4"):
        file(tmp_path, name, b"")
    (tmp_path / "deeper.png").mkdir()
    found = [path.name for path in find_files([str(tmp_path)])]
    assert found == ["film.mp4", "img1.webp", "img2.JPG", "img10.png"]


def test_a_pattern_stands_for_the_pictures_that_match_it(tmp_path: Path) -> None:
    for name in ("b12.png", "b3.png", "a1.png", "b.txt"):
        file(tmp_path, name, b"")
    assert [path.name for path in find_files([str(tmp_path / "b*")])] == ["b3.png", "b12.png"]


def test_files_keep_their_order_and_come_once(tmp_path: Path) -> None:
    second, first = file(tmp_path, "2.png", b""), file(tmp_path, "1.png", b"")
    assert find_files([str(second), str(tmp_path), str(second)]) == [second, first]


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(tmp_path: Path) -> None:
    odd = file(tmp_path, "[1].png", b"")
    file(tmp_path, "1.png", b"")
    assert find_files([str(odd)]) == [odd]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("none.png", "no such file"),
        ("n" * 300, "name too long"),
        ("none*.png", "no file matches"),
        ("", "no images or videos in this folder"),
    ],
)
def test_what_stands_for_nothing_says_so_when_it_is_read(tmp_path: Path, name: str, words: str) -> None:
    (path,) = find_files([str(tmp_path / name)])
    with pytest.raises(InputError, match=words):
        read_picture(path)


# --- what they hold -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".ppm", ".tiff", ".webp"])
def test_lossless_pictures_are_read_as_they_are(tmp_path: Path, suffix: str) -> None:
    options = (cv2.IMWRITE_WEBP_QUALITY, 101) if suffix == ".webp" else ()
    path = file(tmp_path, f"a{suffix}", encoded(suffix, quadrants(), *options))
    np.testing.assert_array_equal(read_picture(path), quadrants())


def test_a_name_in_another_script_is_read(tmp_path: Path) -> None:
    path = file(tmp_path, "Läufer 走る.png", encoded(".png", quadrants()))
    np.testing.assert_array_equal(read_picture(path), quadrants())


def test_16_bit_grey_and_transparent_pictures_become_8_bit_colour(tmp_path: Path) -> None:
    frame = quadrants()
    deep = read_picture(file(tmp_path, "deep.png", encoded(".png", frame.astype(np.uint16) * 257)))
    clear = np.dstack([frame, np.full(frame.shape[:2], 51, np.uint8)])  # a fifth of it, and four of white
    np.testing.assert_array_equal(deep, frame)
    shown = read_picture(file(tmp_path, "clear.png", encoded(".png", clear)))
    np.testing.assert_allclose(shown, 0.2 * frame + 0.8 * 255, atol=0.51)
    grey = frame[..., 1]
    expected = np.repeat(grey[..., None], 3, axis=2)
    np.testing.assert_array_equal(read_picture(file(tmp_path, "grey.png", encoded(".png", grey))), expected)
    deep_grey = encoded(".png", grey.astype(np.uint16) * 257)
    np.testing.assert_array_equal(read_picture(file(tmp_path, "deep_grey.png", deep_grey)), expected)


def test_a_palette_is_resolved(tmp_path: Path) -> None:
    indices = np.array([[0, 1], [2, 1]], np.uint8)
    path = file(tmp_path, "a.png", palette_png(indices, b"\xff\0\0\0\xff\0\0\0\xff"))
    np.testing.assert_array_equal(read_picture(path), [[[0, 0, 255], [0, 255, 0]], [[255, 0, 0], [0, 255, 0]]])


def test_exif_rotation_is_applied(tmp_path: Path) -> None:
    jpeg = encoded(".jpg", quadrants(), cv2.IMWRITE_JPEG_QUALITY, 100)
    frame = read_picture(file(tmp_path, "a.jpg", with_exif(jpeg, orientation=6)))  # 6: turn clockwise
    assert frame.shape == (40, 24, 3)
    np.testing.assert_allclose(frame[5, 5].astype(int), (255, 0, 0), atol=8)  # what was below on the left


def test_one_pixel_is_a_picture(tmp_path: Path) -> None:
    assert read_picture(file(tmp_path, "a.png", encoded(".png", noise(1, 1)))).shape == (1, 1, 3)


# --- what is damaged ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".webp", ".ppm", ".tiff", ".jp2"])
def test_a_picture_that_ends_early_is_an_error_and_nothing_else_is_said(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], suffix: str, share: float
) -> None:
    whole = encoded(suffix, noise())
    path = file(tmp_path, f"a{suffix}", whole[: max(12, int(share * len(whole)))])
    with pytest.raises(InputError, match=r"a\.\w+: the image is"):
        read_picture(path)
    assert capfd.readouterr() == ("", "")


def test_a_jpeg_that_ends_early_is_an_error_although_its_thumbnail_is_whole(tmp_path: Path) -> None:
    whole = with_exif(encoded(".jpg", noise()), 1, thumbnail=encoded(".jpg", noise(8, 8)))
    read_picture(file(tmp_path, "whole.jpg", whole))
    with pytest.raises(InputError, match="cut short"):
        read_picture(file(tmp_path, "cut.jpg", whole[:-2]))


def test_a_progressive_jpeg_that_ends_early_is_an_error(tmp_path: Path) -> None:
    whole = encoded(".jpg", noise(), cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    read_picture(file(tmp_path, "whole.jpg", whole))
    with pytest.raises(InputError, match="cut short"):
        read_picture(file(tmp_path, "cut.jpg", whole[: len(whole) // 2]))


def test_a_jpeg_with_a_hole_is_an_error(tmp_path: Path) -> None:
    whole = encoded(".jpg", noise())
    with pytest.raises(InputError, match="damaged"):
        read_picture(file(tmp_path, "a.jpg", whole[: len(whole) // 2] + b"\xff\xd9"))


def test_bytes_after_the_end_of_a_jpeg_do_not_matter(tmp_path: Path) -> None:
    jpeg = encoded(".jpg", noise())
    plain, longer = file(tmp_path, "a.jpg", jpeg), file(tmp_path, "b.jpg", jpeg + b"motion photo" * 99)
    np.testing.assert_array_equal(read_picture(plain), read_picture(longer))


def test_no_mutated_jpeg_hangs_or_crashes_the_reader(tmp_path: Path) -> None:
    whole, random = encoded(".jpg", noise(40, 30)), np.random.default_rng(2)
    for _ in range(100):
        data = np.frombuffer(whole, np.uint8).copy()
        data[random.integers(2, len(data), 8)] = random.integers(0, 256, 8)
        with contextlib.suppress(InputError):
            assert read_picture(file(tmp_path, "a.jpg", data.tobytes())).ndim == 3


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"just some words", "not an image"),
        (b"<!DOCTYPE html><html>404</html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        (b"%PDF-1.7", "PDF"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isommp41", "a video: rename it"),
        (b"\0" * 500, "not an image"),
    ],
)
def test_what_is_no_picture_is_called_what_it_is(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_picture(file(tmp_path, "a.jpg", content))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_folder_without_permission_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir(mode=0)
    with pytest.raises(InputError, match="no permission to read this folder"):
        read_picture(folder)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_says_so(tmp_path: Path) -> None:
    path = file(tmp_path, "a.png", encoded(".png", quadrants()))
    path.chmod(0)
    with pytest.raises(InputError, match="permission denied"):
        read_picture(path)


def test_what_native_code_says_is_kept_and_stderr_comes_back(capfd: pytest.CaptureFixture[str]) -> None:
    with quiet_stderr() as said:
        os.write(2, b"libpng warning")
    os.write(2, b"after")
    assert "".join(said) == "libpng warning"
    assert capfd.readouterr().err == "after"


# --- sequences of images --------------------------------------------------------------------------------------------


def test_a_numbered_pattern_means_the_files_of_the_sequence_in_order(tmp_path: Path) -> None:
    for name in ("f_0009.png", "f_0010.png", "f_2.png", "f_x.png", "g_0001.png", "f_0011.jpg"):
        file(tmp_path, name, encoded(".png", quadrants()))
    found = [path.name for path in find_files([str(tmp_path / "f_%04d.png")])]
    assert found == ["f_2.png", "f_0009.png", "f_0010.png"]
    assert find_files([str(tmp_path / "h_%d.png")]) == [tmp_path / "h_%d.png"]  # reading it reports the error
    literal = file(tmp_path, "50%d.png", encoded(".png", quadrants()))
    assert find_files([str(literal)]) == [literal]


def test_a_selection_takes_the_images_of_a_sequence_by_their_place(tmp_path: Path) -> None:
    for number in range(7):
        file(tmp_path, f"{number}.png", encoded(".png", quadrants()))
    chosen = find_sources([str(tmp_path)], Selection(first=1, last=5, step=2))
    assert [source.path.name for source in chosen] == ["1.png", "3.png", "5.png"]
    one = find_sources([str(tmp_path / "4.png")], Selection(first=3))
    assert [source.path.name for source in one] == ["4.png"]
    with pytest.raises(InputError, match="there is no image 9: there are 7, counted from 0"):
        find_sources([str(tmp_path)], Selection(first=9))


# --- pipes and devices ----------------------------------------------------------------------------------------------

posix = pytest.mark.skipif(os.name != "posix", reason="there are no pipes with names")


class Chunks:
    """A stream that hands out a few bytes at a time."""

    def __init__(self, data: bytes, size: int) -> None:
        self._file, self._size = io.BytesIO(data), size

    def read(self, count: int = -1) -> bytes:
        return self._file.read(count)

    def read1(self, _count: int) -> bytes:
        return self._file.read(self._size)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000, 1 << 20])
def test_jpegs_are_found_in_a_stream_however_it_comes(size: int) -> None:
    small = [encoded(".jpg", np.full((24, 40, 3), 60 * number, np.uint8)) for number in range(4)]
    small[1] = with_exif(small[1], 1, thumbnail=small[0])  # whose end marker is not the image's
    stream = small[0] + b"--boundary\r\n\xff" + small[1] + small[2] + b"\xff\xff" + small[3][:-40]
    found = list(jpegs(Chunks(stream, size)))  # type: ignore[arg-type]
    assert found == [*small[:3], small[3][:-40]]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000, 1 << 20])
@pytest.mark.parametrize("between", [b"", b"\r\n--frame\r\nContent-Type: image/jpeg\r\n\r\n", b"\xff"])
def test_a_jpeg_that_is_cut_short_in_a_stream_does_not_take_the_next_one_with_it(size: int, between: bytes) -> None:
    whole = [encoded(".jpg", np.full((24, 40, 3), 60 * number, np.uint8)) for number in range(3)]
    cut = encoded(".jpg", noise(40, 24))[:-100]
    stream = between.join([whole[0], cut, whole[1], cut, cut, whole[2]])
    found = list(jpegs(Chunks(stream, size)))  # type: ignore[arg-type]
    assert found == [whole[0], cut + between, whole[1], cut + between, cut + between, whole[2]]


def test_many_damaged_images_of_a_stream_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    good = encoded(".jpg", quadrants())
    bad = good[:4] + b"\x00" * 60 + b"\xff\xd9"
    source = StandardInput(Selection(), lambda: io.BytesIO(good + bad * 40 + good))
    assert [still.number for still in source.stills()] == [0, 41]
    lines = capsys.readouterr().err.splitlines()
    assert lines[-2:] == [
        "stdin: image 5 is damaged and was left out",
        "stdin: 40 of 42 images are damaged and were left out",
    ]
    assert len(lines) == 6


def test_a_stream_is_searched_once() -> None:
    """A second pass over what was searched would take a time that grows with the square of an image's size."""
    jpeg = encoded(".jpg", noise(800, 600))
    data, position, searched = bytearray(), 2, 0
    for begin in range(0, len(jpeg), 1000):
        data += jpeg[begin : begin + 1000]
        before = position
        end, position = _searched(data, position)
        searched += len(data) - before
    assert end == len(jpeg)
    assert searched < 2 * len(jpeg)


def test_a_damaged_image_of_a_stream_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    good = encoded(".jpg", quadrants())
    bad = good[:4] + b"\x00" * 60 + b"\xff\xd9"
    source = StandardInput(Selection(), lambda: io.BytesIO(bad + good + bad + good))
    assert [still.number for still in source.stills()] == [1, 3]
    assert capsys.readouterr().err.splitlines() == [
        "stdin: image 0 is damaged and was left out",
        "stdin: image 2 is damaged and was left out",
    ]
    with pytest.raises(InputError, match="stdin: the image is damaged"):
        list(StandardInput(Selection(), lambda: io.BytesIO(bad + bad)).stills())


@posix
def test_a_pipe_with_a_name_is_read_whole(tmp_path: Path) -> None:
    fifo = tmp_path / "pipe"
    os.mkfifo(fifo)
    data = encoded(".png", quadrants())
    writer = threading.Thread(target=fifo.write_bytes, args=(data,))
    (source,) = find_sources([str(fifo)], Selection())
    writer.start()
    (still,) = source.stills()
    writer.join()
    np.testing.assert_array_equal(still.frame, quadrants())


@posix
def test_a_pipe_into_which_nobody_writes_is_one_line(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    source = pipe(tmp_path / "pipe", Selection(), silence=0.05)
    assert source is not None
    with pytest.raises(InputError, match="pipe: nobody writes into this pipe"):
        list(source.stills())


@posix
def test_a_device_is_not_read(tmp_path: Path) -> None:
    (source,) = find_sources(["/dev/zero"], Selection())
    with pytest.raises(InputError, match="/dev/zero: a device, not a file"):
        list(source.stills())


def test_a_file_that_is_too_large_for_an_image_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    with path.open("wb") as large:
        large.truncate((1 << 29) + 1)  # a hole
    with pytest.raises(InputError, match="a file of 512 MB is not an image"):
        read_picture(path)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp"])
def test_an_image_of_too_many_pixels_is_not_decoded(tmp_path: Path, suffix: str) -> None:
    small = bytearray(encoded(suffix, np.zeros((16, 16, 3), np.uint8)))
    assert read_picture(file(tmp_path, f"small{suffix}", bytes(small))).shape == (16, 16, 3)
    sides = {
        ".png": (struct.pack(">II", 16, 16), struct.pack(">II", 20_000, 30_000)),
        ".jpg": (struct.pack(">BHH", 8, 16, 16), struct.pack(">BHH", 8, 30_000, 20_000)),
        ".bmp": (struct.pack("<Ii", 16, 16), struct.pack("<Ii", 20_000, 30_000)),
    }[suffix]
    at = small.index(sides[0])
    small[at : at + len(sides[0])] = sides[1]
    with pytest.raises(InputError, match="an image of 20000 x 30000 pixels is too large; make it smaller"):
        read_picture(file(tmp_path, f"a{suffix}", bytes(small)))


def test_results_beside_their_sources_are_not_sources(tmp_path: Path) -> None:
    for name in (
        "team.jpg", "team_pose.png", "team_heatmaps_nose.png",
        "clip.avi", "clip_pose.mp4", "clip_000000000007_pose.png",
        "a.jpg", "a.png", "a.jpg_pose.png", "yoga_pose.jpg", "yoga_pose_pose.png",
    ):  # fmt: skip
        file(tmp_path, name, encoded(".png", quadrants()))
    wanted = ["a.jpg", "a.png", "clip.avi", "team.jpg", "yoga_pose.jpg"]
    assert [path.name for path in find_files([str(tmp_path)])] == wanted
    assert [path.name for path in find_files([str(tmp_path / "*")])] == wanted
    assert [path.name for path in find_files([str(tmp_path / "*.png")])] == ["a.png"]  # the others are of other files
    named = tmp_path / "team_pose.png"
    assert find_files([str(named)]) == [named]


def test_results_that_a_shell_names_with_their_sources_are_left_out_with_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["a.png", "a_pose.png", "b.png", "b_pose.png", "yoga_pose.png"]
    paths = [file(tmp_path, name, encoded(".png", quadrants())) for name in names]
    found = find_sources([str(path) for path in paths], Selection())
    assert [source.path.name for source in found] == ["a.png", "b.png", "yoga_pose.png"]
    assert "a_pose.png, " in capsys.readouterr().err
    alone = find_sources([str(paths[1])], Selection())
    assert [source.path.name for source in alone] == ["a_pose.png"]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("suffix", [".png", ".webp"])
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_what_transparency_hides_is_white(tmp_path: Path, suffix: str, depth: type) -> None:
    if suffix == ".webp" and depth is np.uint16:
        pytest.skip("WebP has 8 bits")
    most = np.iinfo(depth).max
    frame: NDArray[Any] = np.zeros((24, 40, 4), depth)
    frame[:12] = (most, 0, 0, 0)          # hidden blue
    frame[12:] = (0, 0, most, most)       # red
    frame[12:, 20:, 3] = most // 2        # half of it
    options = (cv2.IMWRITE_WEBP_QUALITY, 101) if suffix == ".webp" else ()  # lossless
    read = read_picture(file(tmp_path, f"a{suffix}", encoded(suffix, frame, *options)))
    assert read[4, 4].tolist() == [255, 255, 255]
    assert read[18, 4].tolist() == [0, 0, 255]
    np.testing.assert_allclose(read[18, 30], [128, 128, 255], atol=1)


def test_a_palette_s_transparent_colour_is_white(tmp_path: Path) -> None:
    indices = np.zeros((8, 8), np.uint8)
    indices[:, 4:] = 1
    data = with_clear(palette_png(indices, bytes([255, 0, 0, 0, 255, 0])), bytes([0]))  # the first colour
    read = read_picture(file(tmp_path, "a.png", data))
    assert read[4, 1].tolist() == [255, 255, 255]
    assert read[4, 6].tolist() == [0, 255, 0]


def with_clear(png: bytes, colour: bytes) -> bytes:
    """The PNG with a chunk that declares a colour transparent."""
    chunk = b"tRNS" + colour
    at = png.index(b"IDAT") - 4
    return png[:at] + struct.pack(">I", len(colour)) + chunk + struct.pack(">I", zlib.crc32(chunk)) + png[at:]


@pytest.mark.parametrize(("bits", "clear", "shown", "seen"), [(8, 10, 200, 200), (16, 300, 51400, 200), (1, 0, 1, 255)])
def test_a_grey_that_is_declared_transparent_is_white(
    tmp_path: Path, bits: int, clear: int, shown: int, seen: int
) -> None:
    frame = np.full((8, 8), clear if bits > 1 else 0, np.uint16 if bits == 16 else np.uint8)
    frame[:, 4:] = shown if bits > 1 else 255
    options = (cv2.IMWRITE_PNG_BILEVEL, 1) if bits == 1 else ()
    data = with_clear(encoded(".png", frame, *options), struct.pack(">H", clear))
    read = read_picture(file(tmp_path, "a.png", data))
    assert read[4, 1].tolist() == [255, 255, 255]
    np.testing.assert_allclose(read[4, 6], seen, atol=1)
    plain = read_picture(file(tmp_path, "b.png", encoded(".png", frame, *options)))
    np.testing.assert_allclose(plain[4, 1], clear >> max(bits - 8, 0), atol=1)  # without the chunk it is seen


def test_a_colour_that_is_declared_transparent_is_white(tmp_path: Path) -> None:
    frame = np.full((8, 8, 3), (30, 20, 10), np.uint8)
    frame[:, 4:] = (50, 100, 200)
    read = read_picture(file(tmp_path, "a.png", with_clear(encoded(".png", frame), struct.pack(">HHH", 10, 20, 30))))
    assert read[4, 1].tolist() == [255, 255, 255]
    assert read[4, 6].tolist() == [50, 100, 200]
