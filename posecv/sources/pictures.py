"""Images: which files are meant, and the frame that each of them holds."""

from __future__ import annotations

import contextlib
import glob
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from posecv.errors import InputError, reason
from posecv.sources import Still
from posecv.terminal import quiet_stderr

if TYPE_CHECKING:

    from posecv.arrays import Frame
    from posecv.sources.selection import Selection


__all__ = [
    "FILM_SUFFIXES", "PICTURE_SUFFIXES", "Picture", "check_file", "decode_picture", "find_files", "is_film", "jpegs",
    "natural_order", "read_picture",
]  # fmt: skip

# What a folder's images are recognised by; a file that is named on its own may be called anything.
PICTURE_SUFFIXES = frozenset({
    ".avif", ".bmp", ".dib", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".mpo", ".pam", ".pbm", ".pgm", ".png",
    ".pnm", ".ppm", ".ras", ".sr", ".tif", ".tiff", ".webp",
})  # fmt: skip
FILM_SUFFIXES = frozenset({
    ".avi", ".flv", ".gifv", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".ts", ".webm", ".wmv",
})  # fmt: skip

# The first bytes of the formats above: what begins like this and cannot be decoded is damaged, not something else.
_SIGNATURES = re.compile(
    rb"\xff\xd8\xff|\x89PNG|BM|GIF8|RIFF....WEBP|II[*+]\0|MM\0[*+]|P[1-7fF]\s|\0\0\0\x0cjP  |"
    rb"\x59\xa6\x6a\x95|....ftypavif",
    re.DOTALL,
)
_FILM = re.compile(rb"....ftyp(?!avif|hei|mif1|msf1)|\x1a\x45\xdf\xa3|RIFF....AVI ", re.DOTALL)
_NOT_PICTURES = (
    (rb"version https://git-lfs", "a Git LFS pointer, not the picture itself: run `git lfs pull`"),
    (rb"\s*<(?:!doctype|html|\?xml|svg)", "a web page or other markup, not a picture"),
    (rb"%PDF", "a PDF document, not a picture"),
    (rb"....ftyp(?:hei|mif1|msf1)", "a HEIC picture, which OpenCV does not read: save it as JPEG or PNG"),
    (_FILM.pattern, "a film by its content: give it a name that says so, such as film.mp4"),
)
_JPEG_START = b"\xff\xd8\xff"
CHUNK = 1 << 16  # bytes read at once from a pipe
# A marker that begins a segment or ends the image: not a byte of it (FF 00), a restart, a start or filling.
_JPEG_MARKER = re.compile(rb"\xff[\x02-\xcf\xd9-\xfe]")


def natural_order(name: str | Path) -> list[tuple[int, str]]:
    """A key that sorts numbers by their value: img2 before img10.

    >>> sorted(["img10.png", "img2.png"], key=natural_order)
    ['img2.png', 'img10.png']
    """
    pieces = re.findall(r"\d+|\D+", str(name))
    return [(int(piece), "") if piece.isdecimal() else (-1, piece.casefold()) for piece in pieces]


def find_files(inputs: Iterable[str]) -> list[Path]:
    """The files that the values of `--input` mean, each once.

    A folder stands for the images and videos that lie in it, a pattern for the files that match it, both in natural
    order.
    What stands for nothing stays as it is: `read_picture` says what is wrong with it when its turn comes, and the
    other inputs are done all the same.
    """
    # imutils.paths goes into subfolders, which would make `a/1.jpg` and `b/1.jpg` one name, and leaves WebP out.
    paths: dict[str, Path] = {}
    for text in map(os.path.expanduser, inputs):  # the shell leaves --input=~/a.jpg alone
        for path in _expand(text) or [Path(text)]:
            paths.setdefault(os.path.abspath(path), path)
    return list(paths.values())


def _expand(text: str) -> list[Path]:
    """The images and videos of a folder or a pattern; nothing for a file."""
    # os.path answers no where Path raises: for names that are too long, in folders that may not be looked into.
    if os.path.isdir(text):
        with contextlib.suppress(OSError):
            return sorted(filter(_looks_like_one, Path(text).iterdir()), key=natural_order)
        return []
    if os.path.lexists(text) or not glob.has_magic(text):
        return []
    matches = [path for path in map(Path, glob.glob(text, recursive=True)) if os.path.isfile(path)]
    return sorted(list(filter(_looks_like_one, matches)) or matches, key=natural_order)


def _looks_like_one(path: Path) -> bool:
    """By its name alone; names with a leading dot, or .part before the suffix, belong to unfinished files."""
    known = path.suffix.lower() in PICTURE_SUFFIXES | FILM_SUFFIXES
    return known and not path.name.startswith(".") and not path.stem.endswith(".part") and os.path.isfile(path)


def is_film(path: Path) -> bool:
    """Whether a file is a video, by its name, or by its first bytes where its name says nothing."""
    suffix = path.suffix.lower()
    if suffix in PICTURE_SUFFIXES | FILM_SUFFIXES:
        return suffix in FILM_SUFFIXES
    try:
        with path.open("rb") as file:
            return _FILM.match(file.read(16)) is not None
    except OSError:
        return False


@dataclass(frozen=True)
class Picture:
    """An image in a file, as a source.

    Attributes
    ----------
    path : Path
        The file.
    selection : Selection
        Which way up it is wanted.
    live : bool
        False: a file waits.
    has_frames : bool
        False: it is one image.
    """

    path: Path
    selection: Selection
    live: bool = False
    has_frames: bool = False

    def expected(self) -> int:
        """One."""
        return 1

    def stills(self) -> Iterator[Still]:
        """The image; InputError where there is none."""
        yield Still(self.selection.turned(read_picture(self.path)), self.path)


def read_picture(path: Path) -> Frame:
    """The image in a file, upright, as a (H, W, 3) uint8 BGR array.

    Grey, palette, 16-bit and transparent images are turned into that; EXIF's rotation is applied.

    Raises
    ------
    InputError
        Where there is no file, no permission, no image, or only a part of one.
    """
    return decode_picture(path, _read_bytes(path))


def decode_picture(path: Path, data: bytes) -> Frame:
    """The image in a file's bytes, as `read_picture` gives it; the path is for messages."""
    if not data:
        raise InputError(f"{path}: the file is empty")
    # OpenCV 4.8 makes a half-grey image of a JPEG that ends early.
    if data.startswith(_JPEG_START) and _jpeg_end(data) is None:
        raise InputError(f"{path}: the picture is cut short (its end marker is missing); copy or download it again")
    frame, complaint = _decode(path, data)
    if "remature end" in complaint:  # libjpeg fills what is missing with grey and says so on stderr alone
        raise InputError(f"{path}: the picture is damaged (parts of it are missing); copy or download it again")
    if frame is not None:
        return frame
    for pattern, meaning in _NOT_PICTURES:
        if re.match(pattern, data, re.DOTALL | re.IGNORECASE):
            raise InputError(f"{path}: this is {meaning}")
    if _SIGNATURES.match(data):
        raise InputError(f"{path}: the picture is damaged or cut short, or of a kind that this OpenCV does not read")
    raise InputError(f"{path}: this is not a picture")


def check_file(path: Path) -> None:
    """InputError where there is no file, or one that may not be read."""
    if os.path.isdir(path):
        closed = not os.access(path, os.R_OK | os.X_OK)
        raise InputError(f"{path}: {'no permission to look into' if closed else 'no pictures or films in'} this folder")
    try:
        with path.open("rb"):
            pass
    except FileNotFoundError:
        if glob.has_magic(str(path)):
            raise InputError(f"{path}: no file matches this pattern") from None
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({reason(error)})") from None


def _read_bytes(path: Path) -> bytes:
    """What a file holds."""
    check_file(path)
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({reason(error)})") from None
    except MemoryError:
        raise InputError(f"{path}: the file does not fit into memory") from None


def _decode(path: Path, data: bytes) -> tuple[Frame | None, str]:
    """The image in a file's bytes, None where there is none, and what the decoder wrote to stderr."""
    import cv2
    import numpy as np

    # cv2.imread cannot open every name on Windows, so Python reads and OpenCV decodes.
    with quiet_stderr() as noise:
        try:
            frame = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        except cv2.error as error:
            if "pixels" in str(error).lower():
                raise InputError(f"{path}: the picture is larger than OpenCV reads (2^30 pixels)") from None
            frame = None
    return (None if frame is None or not frame.size else frame.astype(np.uint8, copy=False)), "".join(noise)


def jpegs(file: IO[bytes]) -> Iterator[bytes]:
    """JPEGs that come one after the other, whatever stands between them; anything else as a whole, if there is any."""
    read = getattr(file, "read1", file.read)  # a pipe gives what is there
    data = file.read(len(_JPEG_START))
    if not data.startswith(_JPEG_START):
        rest = data + file.read()
        if rest:
            yield rest
        return
    while chunk := read(CHUNK):
        data = _from_start(data + chunk)
        while end := _jpeg_end(data):
            yield data[:end]
            data = _from_start(data[end:])
    if data.startswith(_JPEG_START):
        yield data  # cut short, which is said where it is decoded


def _from_start(data: bytes) -> bytes:
    """The bytes from where a JPEG begins; the last two, which may be a part of that, where none does."""
    start = data.find(_JPEG_START)
    return data[start:] if start >= 0 else data[-2:]


def _jpeg_end(data: bytes) -> int | None:
    """Where a JPEG ends by its end marker, None where that is missing; what follows it does not matter.

    The segments before the image are stepped over by their length: a thumbnail in them has an end marker too.
    """
    if not data.startswith(_JPEG_START):
        return None
    position = 2
    while marker := _JPEG_MARKER.search(data, position):
        if marker[0] == b"\xff\xd9":
            return marker.end()
        length = int.from_bytes(data[marker.end() : marker.end() + 2], "big")
        position = marker.end() + length
    return None
