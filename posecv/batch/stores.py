"""Files wherever they are: folders of this machine, `s3://`, `gs://`, `memory://`, by fsspec."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from posecv.errors import DeviceError, InputError, OutputError, UsageError
from posecv.sources.pictures import FILM_SUFFIXES, PICTURE_SUFFIXES, natural_order

__all__ = ["Item", "Store", "find_items", "local_copy", "package"]

T = TypeVar("T")

LISTS = frozenset({".txt", ".lst", ".list"})
PAUSES = 0.5, 2.0, 8.0  # seconds before a store that answered an error is asked again
FINAL = FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError  # no store changes its mind on these
STAMPS = "ETag", "etag", "mtime", "LastModified", "last_modified", "updated", "created"


def package(name: str) -> Any:
    """An optional package; DeviceError says how to install it."""
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError:
        missing = name.partition(".")[0]
        raise DeviceError(f"batches need {missing}, which is not installed; pip install {missing}") from None


@dataclass(frozen=True, order=True)
class Item:
    """An image or a video.

    Attributes
    ----------
    path : str
        Where it is: an absolute path, or an address such as `s3://bucket/a.jpg`.
    size : int
        Bytes.
    stamp : str
        Changes when the file does: a store's ETag, or the time of the last change.
    """

    path: str
    size: int = 0
    stamp: str = ""

    @property
    def is_film(self) -> bool:
        """Whether its suffix is a video's."""
        return Path(self.path).suffix.lower() in FILM_SUFFIXES


@dataclass(frozen=True)
class Store:
    """A folder, here or at an address."""

    address: str

    def path(self, name: str) -> str:
        """The address of a file in it."""
        return f"{self.address.rstrip('/')}/{name}"

    def names(self, folder: str) -> set[str]:
        """The names of the files in one of its folders; none if there is no such folder."""
        files, place = _system(self.path(folder))
        files.invalidate_cache()
        try:
            return {path.rpartition("/")[2] for path in patient(lambda: files.ls(place, detail=False))}
        except FileNotFoundError:
            return set()

    def read(self, name: str) -> bytes:
        """The content of a file; OSError if there is none."""
        files, place = _system(self.path(name))
        return bytes(patient(lambda: files.cat_file(place)))

    def write(self, name: str, data: bytes) -> None:
        """Write a file that appears whole or not at all; OutputError if that fails.

        A store's objects appear whole; a local file is written under another name first.
        """
        files, place = _system(self.path(name))
        try:
            if _is_local(files):
                from posecv.files import write_whole

                write_whole(Path(place), data)
            else:
                patient(lambda: files.pipe_file(place, data))
        except OSError as error:
            raise OutputError(f"{self.path(name)} cannot be written ({_reason(error)})") from None

    def remove(self, name: str) -> None:
        """Remove a file if it is there."""
        files, place = _system(self.path(name))
        with contextlib.suppress(FileNotFoundError):
            patient(lambda: files.rm_file(place))


def patient(ask: Callable[[], T], pauses: Sequence[float] = PAUSES) -> T:
    """The answer of a store, which is asked again if it is out of order for a while; OSError if it stays so."""
    for pause in pauses:
        try:
            return ask()
        except FINAL:
            raise
        except OSError:
            time.sleep(pause)
    return ask()


def find_items(inputs: Sequence[str]) -> list[Item]:
    """The images and videos of files, folders (with their folders), patterns and lists with one path a line.

    Raises
    ------
    InputError
        If there is nothing, or a store does not answer.
    """
    found: dict[str, Item] = {}
    for word in inputs:
        words = _lines(word) if Path(word).suffix.lower() in LISTS else [word]
        for each in words:
            for item in _items_of(each):
                found.setdefault(item.path, item)
    if not found:
        raise InputError(f"{', '.join(inputs)}: no images or videos there")
    return sorted(found.values(), key=lambda item: natural_order(item.path))


@contextlib.contextmanager
def local_copy(item: Item) -> Iterator[Path]:
    """A file of this machine with an item's content; OSError if it cannot be loaded."""
    files, place = _system(item.path)
    if _is_local(files):
        yield Path(place)
        return
    with tempfile.TemporaryDirectory(prefix="posecv-") as folder:
        path = Path(folder) / Path(place).name
        patient(lambda: files.get_file(place, str(path)))
        yield path


def _lines(word: str) -> list[str]:
    """The paths in a list; relative ones are meant from where the list is."""
    files, place = _system(word)
    try:
        text = bytes(patient(lambda: files.cat_file(place))).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{word} is not a list that can be read ({error}); give a text with one path a line") from None
    folder = files.unstrip_protocol(place).rpartition("/")[0].removeprefix("file://")
    paths = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [path if "://" in path or path.startswith("/") else f"{folder}/{path}" for path in paths]


def _items_of(word: str) -> list[Item]:
    """The items of a file, a folder or a pattern; a file that is missing is an item too, and fails later."""
    files, place = _system(word)
    try:
        if any(sign in place for sign in "*?["):
            details = patient(lambda: files.glob(place, detail=True))
        else:
            details = patient(lambda: files.find(place, detail=True)) if patient(lambda: files.isdir(place)) else None
        if details is None:
            details = {place: patient(lambda: files.info(place)) if patient(lambda: files.exists(place)) else {}}
            return [_item(files, path, info) for path, info in details.items()]
    except (OSError, ValueError) as error:
        raise InputError(f"{word}: the store does not answer ({_reason(error)})") from None
    return [_item(files, path, info) for path, info in details.items() if _is_wanted(path, info)]


def _is_wanted(path: str, info: dict[str, Any]) -> bool:
    name = Path(path)
    return (
        info.get("type") != "directory"
        and name.suffix.lower() in PICTURE_SUFFIXES | FILM_SUFFIXES
        and not name.name.startswith(".")
    )


def _item(files: Any, path: str, info: dict[str, Any]) -> Item:
    stamp = next((str(info[name]) for name in STAMPS if info.get(name)), "")
    full = path if _is_local(files) else files.unstrip_protocol(path)
    return Item(full, int(info.get("size") or 0), stamp)


def _system(address: str) -> tuple[Any, str]:
    """fsspec's file system for an address, and the place in it; UsageError for an unknown kind of address."""
    core = package("fsspec.core")
    try:
        files, place = core.url_to_fs(address)
    except ImportError as error:  # a package for this kind of store, such as s3fs
        raise DeviceError(f"{address}: {error}") from None
    except ValueError as error:
        raise UsageError(f"{address}: {error}") from None
    return files, place


def _is_local(files: Any) -> bool:
    protocol = files.protocol
    return "file" in ((protocol,) if isinstance(protocol, str) else protocol)


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
