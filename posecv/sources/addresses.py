"""Videos and images at addresses: what has a length is a file, and everything else a stream."""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import unquote, urlsplit, urlunsplit
from urllib.request import Request, url2pathname, urlopen

from posecv.errors import InputError
from posecv.sources import Still
from posecv.sources.films import Film, length_of
from posecv.sources.pictures import FILM_SUFFIXES, LIVE_SUFFIXES, PICTURE_SUFFIXES, decode_picture
from posecv.sources.selection import Selection

__all__ = ["RemotePicture", "finite", "local_path", "name_of"]

TIMEOUT = 10.0  # seconds
LARGEST = 1 << 28  # bytes of an image
_LISTS = ".m3u8", ".mpd"
_LIST_TYPES = re.compile(r"mpegurl|dash\+xml", re.IGNORECASE)


def local_path(word: str) -> str | None:
    """The file or folder that a file:// address means; None for others.

    >>> local_path("file:///tmp/a%20b.mp4")
    '/tmp/a b.mp4'
    """
    parts = urlsplit(word)
    if parts.scheme.lower() != "file":
        return None
    return url2pathname(word[len("file://") :].removeprefix("localhost"))


def name_of(address: str) -> Path:
    """The name of an address in results and messages: host and path, without a password."""
    parts = urlsplit(address)
    words = f"{parts.hostname or ''}{unquote(parts.path)}".rstrip("/")
    name = Path(re.sub(r"[^\w.-]+", "_", words) or "stream")
    return name.with_name(f"{name.stem}-{zlib.crc32(parts.query.encode()):08x}{name.suffix}") if parts.query else name


@dataclass(frozen=True)
class RemotePicture:
    """An image at an address, as a source.

    Attributes
    ----------
    address : str
        http:// or https://.
    selection : Selection
        How to rotate and flip it.
    live : bool
        False: it can wait.
    has_frames : bool
        False: it is a single image.
    """

    address: str
    selection: Selection
    live: bool = False
    has_frames: bool = False

    @property
    def path(self) -> Path:
        """The name in results and messages."""
        return name_of(self.address)

    def expected(self) -> int:
        """One."""
        return 1

    def stills(self) -> Iterator[Still]:
        """The image; InputError if it cannot be loaded."""
        try:
            with _opened(self.address, "GET") as answer:
                data = answer.read(LARGEST)
        except (OSError, ValueError) as error:
            raise InputError(f"{self.path}: cannot be loaded ({error})") from None
        yield Still(self.selection.turned(decode_picture(self.path, data)), self.path)


def finite(address: str, selection: Selection) -> Film | RemotePicture | None:
    """The video or image at an address whose server tells its length; None for streams and servers that do not answer.

    A list of pieces (HLS, DASH) tells no length; it is a file if it has a duration.
    """
    if urlsplit(address).scheme.lower() not in ("http", "https"):
        return None
    suffix = Path(urlsplit(address).path).suffix.lower()
    kind = _kind(address, suffix)
    if kind == "list":
        return Film(name_of(address), selection, address=address) if length_of(address) else None
    if kind == "image":
        return RemotePicture(address, selection)
    return Film(name_of(address), selection, address=address) if kind == "video" else None


def _kind(address: str, suffix: str) -> str | None:
    """What a server has at an address: image, video or list; None for a stream, or if it does not tell."""
    known = suffix in (PICTURE_SUFFIXES | FILM_SUFFIXES) - LIVE_SUFFIXES
    for method in ("HEAD", "GET") if known else ("HEAD",):  # some cameras have one place, which GET would take
        try:
            with _opened(address, method) as answer:
                media = answer.headers.get_content_type()
                length = answer.headers.get("Content-Length", "0")
        except (OSError, ValueError):
            continue
        if suffix in _LISTS or _LIST_TYPES.search(media):
            return "list"
        if media.startswith("multipart/") or not length.isdecimal() or not int(length):
            continue
        if media.startswith("image/") or (suffix in PICTURE_SUFFIXES and not media.startswith("video/")):
            return "image"
        return None if media.startswith("text/") else "video"
    return None


def _opened(address: str, method: str) -> Any:
    """The answer of a server; OSError if there is none."""
    parts = urlsplit(address)
    headers = {"User-Agent": "posecv"}
    if parts.username is not None:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = f"Basic {base64.b64encode(login.encode()).decode()}"
    plain = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    try:
        return urlopen(Request(plain, headers=headers, method=method), timeout=TIMEOUT)
    except URLError as error:
        raise OSError(str(error)) from None
