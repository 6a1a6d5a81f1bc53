"""Images: which files `--input` means, and the frame in each of them."""

from __future__ import annotations

import contextlib
import glob
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

from posecv.errors import InputError, reason
from posecv.sources import Still
from posecv.terminal import quiet_stderr

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from posecv.arrays import Frame
    from posecv.sources.selection import Selection


__all__ = [
    "FILM_SUFFIXES", "LIVE_SUFFIXES", "PICTURE_SUFFIXES", "Picture", "check_file", "decode_picture", "find_files",
    "is_film", "jpegs", "made_of", "natural_order", "read_picture",
]  # fmt: skip

# Suffixes of images in a folder; a file that is given by its own name may have any suffix.
PICTURE_SUFFIXES = frozenset({
    ".apng", ".avif", ".bmp", ".dib", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".mpo", ".pam", ".pbm", ".pgm",
    ".png", ".pnm", ".ppm", ".ras", ".sr", ".tif", ".tiff", ".webp",
})  # fmt: skip
FILM_SUFFIXES = frozenset({
    ".264", ".265", ".3g2", ".3gp", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".gifv", ".h264", ".h265", ".hevc",
    ".ivf", ".m1v", ".m2t", ".m2ts", ".m2v", ".m4v", ".mjpeg", ".mjpg", ".mkv", ".mov", ".mp4", ".mpe", ".mpeg", ".mpg",
    ".mts", ".mxf", ".ogg", ".ogm", ".ogv", ".qt", ".rmvb", ".ts", ".vob", ".webm", ".wmv", ".wtv", ".xvid", ".y4m",
})  # fmt: skip
LIVE_SUFFIXES = frozenset({".mjpeg", ".mjpg"})  # at an address, the picture of a camera

# The first bytes of the formats above: a file that begins like this but cannot be decoded is damaged.
_SIGNATURES = re.compile(
    rb"\xff\xd8\xff|\x89PNG|BM|GIF8|RIFF....WEBP|II[*+]\0|MM\0[*+]|P[1-7fF]\s|\0\0\0\x0cjP  |"
    rb"\x59\xa6\x6a\x95|....ftypavif",
    re.DOTALL,
)
_FILM = re.compile(rb"....ftyp(?!avif|hei|mif1|msf1)|\x1a\x45\xdf\xa3|RIFF....AVI ", re.DOTALL)
_NOT_PICTURES = (
    (rb"version https://git-lfs", "a Git LFS pointer, not the image itself: run `git lfs pull`"),
    (rb"\s*<(?:!doctype|html|\?xml|svg)", "a web page or other markup, not an image"),
    (rb"%PDF", "a PDF document, not an image"),
    (rb"....ftyp(?:hei|mif1|msf1)", "a HEIC image, which OpenCV cannot read: save it as JPEG or PNG"),
    (_FILM.pattern, "a video: rename it with a video suffix, such as video.mp4"),
)
_RESULT = re.compile(r"(.+?)(?:_pose|_heatmaps_.+)")
_JPEG_START = b"\xff\xd8\xff"
CHUNK = 1 << 16  # bytes read at once from a pipe
MOST = 1 << 29  # bytes of an image file
MOST_PIXELS = 1 << 28  # of an image; as an array it takes three bytes for each
# A marker that begins a segment or ends the image: not image data (FF 00), a restart, a start or padding.
_JPEG_MARKER = re.compile(rb"\xff[\x02-\xcf\xd9-\xfe]")
_JPEG_MARKER_OR_START = re.compile(rb"\xff(?:[\x02-\xcf\xd9-\xfe]|\xd8\xff)")


def natural_order(name: str | Path) -> list[tuple[int, str]]:
    """A sort key that orders numbers by value: img2 before img10.

    >>> sorted(["img10.png", "img2.png"], key=natural_order)
    ['img2.png', 'img10.png']
    """
    pieces = re.findall(r"\d+|\D+", str(name))
    return [(int(piece), "") if piece.isdecimal() else (-1, piece.casefold()) for piece in pieces]


def find_files(inputs: Iterable[str]) -> list[Path]:
    """The files for the values of `--input`, without duplicates.

    A folder stands for the images and videos in it, a pattern such as `*.jpg` or `frame_%04d.png` for the files that
    match it, both in natural order. A value without any file is kept: `read_picture` reports the error later, and the
    other inputs are still processed.
    """
    # imutils.paths would include subfolders, where `a/1.jpg` and `b/1.jpg` have the same name, and omit WebP.
    paths: dict[str, Path] = {}
    for text in map(os.path.expanduser, inputs):  # the shell does not expand --input=~/a.jpg
        for path in _expand(text) or [Path(text)]:
            paths.setdefault(os.path.abspath(path), path)
    return list(paths.values())


def _expand(text: str) -> list[Path]:
    """The images and videos of a folder or a pattern; empty for a file."""
    # os.path returns False where Path raises: for names that are too long, and in folders without permission.
    if os.path.isdir(text):
        with contextlib.suppress(OSError):
            return sorted(_without_results(filter(_looks_like_one, Path(text).iterdir())), key=natural_order)
        return []
    if os.path.lexists(text):
        return []
    if numbered := _numbered(text):
        return numbered
    if not glob.has_magic(text):
        return []
    matches = [path for path in map(Path, glob.glob(text, recursive=True)) if os.path.isfile(path)]
    return sorted(_without_results(list(filter(_looks_like_one, matches)) or matches), key=natural_order)


def _without_results(paths: Iterable[Path]) -> list[Path]:
    """The files without those that posecv made of others in their folders: `team_pose.png` beside `team.jpg`."""
    paths = list(paths)
    names: set[tuple[Path, str]] = set()
    for folder in {path.parent for path in paths if made_of(path)}:
        with contextlib.suppress(OSError):
            for file in filter(_looks_like_one, folder.iterdir()):
                names |= {(folder, file.stem), (folder, file.name)}
    return [path for path in paths if not any((path.parent, name) in names for name in made_of(path))]


def made_of(path: Path) -> list[str]:
    """The names, with or without suffix, of what a file may be a result of.

    >>> made_of(Path("clip_000000000042_pose.png")), made_of(Path("team_heatmaps_nose.png")), made_of(Path("a.png"))
    (['clip_000000000042', 'clip'], ['team'], [])
    """
    match = _RESULT.fullmatch(path.stem)
    if not match:
        return []
    name = match[1]
    return list(dict.fromkeys([name, re.sub(r"_\d{12}$", "", name)]))


def _numbered(text: str) -> list[Path]:
    """The files of a numbered sequence such as `frame_%04d.png`, in order; empty for another name."""
    folder, name = os.path.split(text)
    if (pattern := re.fullmatch(r"(.*?)%0?[0-9]*d(.*)", name)) is None:
        return []
    wanted = re.compile(f"{re.escape(pattern[1])}([0-9]+){re.escape(pattern[2])}")
    with contextlib.suppress(OSError):
        files = Path(folder).iterdir()
        found = {int(match[1]): path for path in files if (match := wanted.fullmatch(path.name))}
        return [found[index] for index in sorted(found)]
    return []


def _looks_like_one(path: Path) -> bool:
    """Whether a name is that of an image or video; a leading dot, or .part before the suffix, is an unfinished file."""
    known = path.suffix.lower() in PICTURE_SUFFIXES | FILM_SUFFIXES
    return known and not path.name.startswith(".") and not path.stem.endswith(".part") and os.path.isfile(path)


def is_film(path: Path) -> bool:
    """Whether a file is a video, by its suffix, or by its first bytes if the suffix is unknown."""
    suffix = path.suffix.lower()
    if suffix in PICTURE_SUFFIXES | FILM_SUFFIXES:
        return suffix in FILM_SUFFIXES
    if not os.path.isfile(path):  # what is read from a pipe is lost
        return False
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
        How to rotate and flip it.
    live : bool
        False: a file can wait.
    has_frames : bool
        False: it is a single image.
    """

    path: Path
    selection: Selection
    live: bool = False
    has_frames: bool = False

    def expected(self) -> int:
        """One."""
        return 1

    def stills(self) -> Iterator[Still]:
        """The image; InputError if there is none."""
        yield Still(self.selection.turned(read_picture(self.path)), self.path)


def read_picture(path: Path) -> Frame:
    """Read an image file as an upright (H, W, 3) uint8 BGR array.

    Grey, palette, 16-bit and transparent images are converted; EXIF rotation is applied.

    Raises
    ------
    InputError
        If the file is missing, unreadable, not an image, or an incomplete one.
    """
    return decode_picture(path, _read_bytes(path))


def decode_picture(path: Path, data: bytes) -> Frame:
    """Decode the bytes of an image file like `read_picture`; the path is for messages."""
    if not data:
        raise InputError(f"{path}: the file is empty")
    width, height = _size(data)
    if width * height > MOST_PIXELS:
        raise InputError(f"{path}: an image of {width} x {height} pixels is too large; make it smaller")
    # OpenCV 4.8 returns a half-grey image for a JPEG that ends early.
    if data.startswith(_JPEG_START) and _jpeg_end(data) is None:
        raise InputError(f"{path}: the image is cut short (its end marker is missing); copy or download it again")
    frame, complaint = _decode(path, data)
    if "remature end" in complaint:  # libjpeg fills missing parts with grey and only warns on stderr
        raise InputError(f"{path}: the image is damaged (parts of it are missing); copy or download it again")
    if frame is not None:
        return frame
    for pattern, meaning in _NOT_PICTURES:
        if re.match(pattern, data, re.DOTALL | re.IGNORECASE):
            raise InputError(f"{path}: this is {meaning}")
    if _SIGNATURES.match(data):
        raise InputError(f"{path}: the image is damaged or cut short, or this OpenCV cannot read its format")
    raise InputError(f"{path}: not an image")


def _size(data: bytes) -> tuple[int, int]:
    """Width and height of a PNG, JPEG, BMP, GIF or WebP, by its header; 0, 0 for other formats."""
    if data.startswith(b"\x89PNG"):
        return _integers(data[16:24], 4, "big")
    if data.startswith(b"GIF8"):
        return _integers(data[6:10], 2, "little")
    if data.startswith(b"BM"):
        return _integers(data[18:26], 4, "little")
    if data[:4] == b"RIFF" and data[8:16] == b"WEBPVP8X":
        width, height = _integers(data[24:30], 3, "little")
        return width + 1, height + 1
    if data.startswith(_JPEG_START):
        return _jpeg_size(data)
    return 0, 0


def _integers(data: bytes, length: int, order: Literal["big", "little"]) -> tuple[int, int]:
    return int.from_bytes(data[:length], order), int.from_bytes(data[length:], order)


def _jpeg_size(data: bytes) -> tuple[int, int]:
    """Width and height by the segment that begins the image."""
    position = 2
    while marker := _JPEG_MARKER.search(data, position):
        kind = marker[0][1]
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
            height, width = _integers(data[marker.end() + 3 : marker.end() + 7], 2, "big")
            return width, height
        position = marker.end() + int.from_bytes(data[marker.end() : marker.end() + 2], "big")
    return 0, 0


def check_file(path: Path) -> None:
    """Raise InputError if the file does not exist or cannot be read."""
    if os.path.isdir(path):
        closed = not os.access(path, os.R_OK | os.X_OK)
        raise InputError(f"{path}: {'no permission to read' if closed else 'no images or videos in'} this folder")
    if os.path.exists(path) and not os.path.isfile(path):
        raise InputError(f"{path}: a device, not a file; give an image, a video, or a camera by its number")
    try:
        with path.open("rb"):
            pass
    except (FileNotFoundError, ValueError):  # no file's name has a zero byte
        if glob.has_magic(str(path)):
            raise InputError(f"{path}: no file matches this pattern") from None
        raise InputError(f"{path}: no such file or folder") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({reason(error)})") from None


def _read_bytes(path: Path) -> bytes:
    """The content of a file."""
    check_file(path)
    try:
        if (size := path.stat().st_size) > MOST:
            raise InputError(f"{path}: a file of {size >> 20} MB is not an image; images have at most {MOST >> 20} MB")
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({reason(error)})") from None
    except MemoryError:
        raise InputError(f"{path}: the file does not fit into memory") from None


def _decode(path: Path, data: bytes) -> tuple[Frame | None, str]:
    """The image in a file's bytes, or None, and what the decoder wrote to stderr."""
    import cv2
    import numpy as np

    # cv2.imread cannot open every file name on Windows, so Python reads and OpenCV decodes.
    with quiet_stderr() as noise:
        try:
            frame = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
            if frame is not None and _may_be_transparent(data):
                layered = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
                frame = frame if layered is None else on_white(layered, frame, _clear_grey(data))
        except cv2.error as error:
            if "pixels" in str(error).lower():
                raise InputError(f"{path}: the image is too large for OpenCV (more than 2^30 pixels)") from None
            frame = None
    return (None if frame is None or not frame.size else frame.astype(np.uint8, copy=False)), "".join(noise)


def _may_be_transparent(data: bytes) -> bool:
    """Whether a PNG or WebP has transparency, by its header."""
    if data.startswith(b"\x89PNG"):
        return data[25:26] in (b"\x04", b"\x06") or b"tRNS" in data[: max(data.find(b"IDAT"), 0)]
    return data[:4] == b"RIFF" and data[8:12] == b"WEBP" and (data[12:16] != b"VP8X" or bool(data[20] & 0x10))


def _clear_grey(data: bytes) -> int | None:
    """The grey that a grey PNG declares transparent, in OpenCV's range; OpenCV itself knows only colours."""
    depth, colours, key = data[24:25], data[25:26], data.find(b"tRNS")
    if colours != b"\0" or key < 0:
        return None
    value = int.from_bytes(data[key + 4 : key + 6], "big")
    return value * 255 // (2 ** depth[0] - 1) if depth[0] < 8 else value


def on_white(layered: NDArray[Any], plain: NDArray[Any], clear: int | None = None) -> NDArray[Any]:
    """An image with transparency as viewers show it, on white; `plain` is the image without transparency.

    What transparency hides has any colour, and may show people whom nobody sees. In a grey image, `clear` is the
    transparent value.
    """
    import numpy as np

    if clear is not None and layered.shape == plain.shape[:2]:
        return np.where((layered == clear)[..., None], np.uint8(255), plain)
    if layered.ndim != 3 or layered.shape[2] != 4 or layered.shape[:2] != plain.shape[:2]:
        return plain
    opacity = layered[..., 3:].astype(np.float32) / np.iinfo(layered.dtype).max
    return np.rint(plain * opacity + 255 * (1 - opacity)).astype(np.uint8)


def jpegs(file: IO[bytes]) -> Iterator[bytes]:
    """Split a stream into JPEGs, ignoring anything between them; any other content is returned as a whole.

    A JPEG that is cut short ends where the next one starts.

    InputError if an image does not end within `MOST` bytes.
    """
    read = getattr(file, "read1", file.read)  # a pipe returns what is available
    data = bytearray(file.read(len(_JPEG_START)))
    if not data.startswith(_JPEG_START):
        data += file.read(MOST + 1)
        _check_length(len(data))
        if data:
            yield bytes(data)
        return
    position = 2  # what is before it has been searched for the end
    while chunk := read(CHUNK):
        data += chunk
        while True:
            if not data.startswith(_JPEG_START):
                del data[: _start(data)]
                position = 2
            end, position = _searched(data, position, _JPEG_MARKER_OR_START)
            if end is None:
                break
            yield bytes(data[:end])
            del data[:end]
            position = 2
        _check_length(len(data))
    if data.startswith(_JPEG_START):
        yield bytes(data)  # cut short; decoding reports it


def _check_length(length: int) -> None:
    if length > MOST:
        raise InputError(f"an image of more than {MOST >> 20} MB: no image ends there; pipe images or Motion JPEG")


def _start(data: bytearray) -> int:
    """Where a JPEG starts; without one, the last two bytes, which may be part of a start."""
    start = data.find(_JPEG_START)
    return start if start >= 0 else max(0, len(data) - 2)


def _jpeg_end(data: bytes) -> int | None:
    """The end of a JPEG by its end marker, or None; bytes after it are ignored."""
    return _searched(data, 2)[0]


def _searched(
    data: bytes | bytearray, position: int, markers: re.Pattern[bytes] = _JPEG_MARKER
) -> tuple[int | None, int]:
    """Search a JPEG for its end from a position on; its end, or None, and where to go on when there is more of it.

    It skips the segments before the image by their length, since a thumbnail in them has an end marker too. With
    `_JPEG_MARKER_OR_START`, the start of another JPEG is also the end of this one.
    """
    if not data.startswith(_JPEG_START):
        return None, position
    while marker := markers.search(data, position):
        if marker[0] == b"\xff\xd9":
            return marker.end(), marker.end()
        if marker[0] == _JPEG_START:
            return marker.start(), marker.start()
        if marker.end() + 2 > len(data):
            return None, marker.start()
        position = marker.end() + int.from_bytes(data[marker.end() : marker.end() + 2], "big")
    return None, max(position, len(data) - 2)  # the last bytes may begin a marker
