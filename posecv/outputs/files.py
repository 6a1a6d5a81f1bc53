"""Files of results: their names, and checks before a run that they can be written."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path

from posecv.errors import OutputError, UsageError, reason
from posecv.files import clear_unfinished, unfinished_file, write_whole

__all__ = ["Kind", "frame_file", "is_filled", "plan_files", "prepare_files", "result_names", "write_whole"]

# A name with one of these suffixes is a file, for every option, not a folder: formats that people ask for.
FILE_SUFFIXES = frozenset({
    ".3gp", ".apng", ".avi", ".avif", ".bmp", ".bvh", ".c3d", ".csv", ".docx", ".eps", ".fbx", ".flv", ".gif", ".gz",
    ".h5", ".heic", ".html", ".jp2", ".jpeg", ".jpg", ".json", ".jsonl", ".m4v", ".mat", ".mkv", ".mov", ".mp4",
    ".mpeg", ".mpg", ".npy", ".npz", ".ogv", ".parquet", ".pdf", ".pgm", ".pkl", ".png", ".ppm", ".ps", ".psd", ".svg",
    ".tar", ".tif", ".tiff", ".ts", ".tsv", ".txt", ".webm", ".webp", ".wmv", ".xlsx", ".xml", ".yaml", ".yml", ".zip",
})  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes
    ----------
    option : str
        The option that writes such files, for messages.
    ending : str
        What is appended to a source's name in a folder, such as `_pose.png`.
    suffixes : frozenset of str
        Suffixes that can be written.
    """

    option: str
    ending: str
    suffixes: frozenset[str]


def result_names(sources: Sequence[Path]) -> list[str]:
    """A unique name for the results of each source: its stem, plus its suffix and folders if needed.

    Names that differ only in case count as equal, as on some file systems.

    >>> result_names([Path("a.jpg"), Path("a.png"), Path("b.png")])
    ['a.jpg', 'a.png', 'b']
    >>> result_names([Path("mon/1.png"), Path("tue/1.png")])
    ['mon_1.png', 'tue_1.png']
    >>> result_names([Path("a.jpg"), Path("A.jpg")])
    ['a', 'A-2']
    """
    paths = [os.path.abspath(source).casefold() for source in sources]
    chosen = [_name(source, 0) for source in sources]
    lengths = [0] * len(sources)
    longest = 1 + max((len(_folders(source)) for source in sources), default=0)
    while True:
        often = Counter(name for name, _ in {(chosen[i].casefold(), path) for i, path in enumerate(paths)})
        shared = [i for i, name in enumerate(chosen) if often[name.casefold()] > 1 and lengths[i] < longest]
        if not shared:
            return _numbered(chosen)
        shortest = min(lengths[i] for i in shared)  # lengthen the shortest names first
        for i in shared:
            if lengths[i] == shortest:
                lengths[i] += 1
                chosen[i] = _name(sources[i], lengths[i])


def _numbered(names: Iterable[str]) -> list[str]:
    """The names, with a number appended if an earlier one differs only in case."""
    numbered: dict[str, str] = {}
    for name in names:
        candidates = chain([name], (f"{name}-{number}" for number in count(2)))
        unique = next(candidate for candidate in candidates if candidate.casefold() not in numbered)
        numbered[unique.casefold()] = unique
    return list(numbered.values())


def _name(source: Path, length: int) -> str:
    """The stem of a source (length 0), its name (1), or its name after one, two, ... of its folders."""
    if length == 0:
        return source.stem
    return "_".join([*_folders(source)[::-1][: length - 1][::-1], source.name])


def _folders(source: Path) -> list[str]:
    """The names of a source's folders, outermost first."""
    folder = Path(os.path.abspath(source)).parent
    return list(folder.relative_to(folder.anchor).parts)


def plan_files(sources: Sequence[Path], where: str, kind: Kind) -> list[Path]:
    """The file for each source, from the value of an option.

    Parameters
    ----------
    sources : sequence of Path
        The inputs.
    where : str
        The option's value: a file if its suffix is a known one, otherwise a folder.
    kind : Kind
        What the option writes.

    Raises
    ------
    UsageError
        If the value is one file for several inputs, a file of another kind, empty, or `-`.
    """
    if not where:
        raise UsageError(f"{kind.option}='' is an empty name")
    if where == "-":
        raise UsageError(f"{kind.option}='-': results do not go to standard output; give a file or a folder")
    path = Path(os.path.expanduser(where))
    suffix = path.suffix.lower()
    if os.path.isdir(path) or where.endswith(("/", os.path.sep)) or suffix not in FILE_SUFFIXES | kind.suffixes:
        return [path / f"{name}{kind.ending}" for name in result_names(sources)]
    if suffix not in kind.suffixes:
        suffixes = ", ".join(sorted(kind.suffixes))
        raise UsageError(f"{kind.option}={where}: {suffix} is not supported; use one of {suffixes}, or a folder")
    if len(sources) > 1:
        raise UsageError(f"{kind.option}={where} is one file, but there are {len(sources)} inputs; give a folder")
    return [path]


def frame_file(path: Path, number: int | None, ending: str) -> Path:
    """The file for an image, or for a frame of a video: its number comes before the ending, as in OpenPose.

    >>> frame_file(Path("out/clip_pose.png"), 42, "_pose.png").name
    'clip_000000000042_pose.png'
    """
    return path if number is None else path.with_name(f"{path.name.removesuffix(ending)}_{number:012d}{ending}")


def is_filled(file: Path) -> bool:
    """Whether a file is there and not empty: after a power failure a new one may be empty."""
    try:
        return file.stat().st_size > 0
    except OSError:
        return False


def prepare_files(targets: Iterable[Path], sources: Iterable[Path]) -> None:
    """Check before the run that all targets can be written, and remove unfinished files of killed runs.

    It creates no folders, so a run in which all inputs fail leaves no empty ones.

    Raises
    ------
    UsageError
        If a target is one of the sources.
    OutputError
        If a folder cannot be created or written to, or a file cannot be replaced.
    """
    targets = list(targets)
    inputs = {_identity(source): source for source in sources if os.path.exists(source)}
    for target in targets:
        _check_file(target, inputs)
    for folder in dict.fromkeys(target.parent for target in targets):
        _check_folder(folder)
        clear_unfinished(folder)


def _check_file(target: Path, inputs: Mapping[tuple[int, int], Path]) -> None:
    """Check that a file can be written or replaced."""
    try:
        identity = _identity(target)
    except (FileNotFoundError, NotADirectoryError):
        return  # a new file; its folder is checked next
    except OSError as error:
        raise OutputError(f"{target} cannot be written: {reason(error)}") from None
    if source := inputs.get(identity):
        also = "" if source == target else f" ({source})"
        raise UsageError(f"{target} is an input{also} and would be overwritten; choose another folder or name")
    if os.path.isdir(target):
        raise OutputError(f"{target} cannot be written: a folder of this name is in the way")
    if not os.access(target, os.W_OK):
        raise OutputError(f"{target} cannot be written: permission denied")


def _identity(path: Path) -> tuple[int, int]:
    """Equal for all names of one file."""
    status = path.stat()
    return status.st_dev, status.st_ino


def _check_folder(folder: Path) -> None:
    """Check, by trying, that files can be created in a folder, or in its nearest existing parent."""
    nearest = next((place for place in (folder, *folder.parents) if os.path.lexists(place)), folder)
    trial = unfinished_file(nearest)
    try:
        trial.write_bytes(b"")
        trial.unlink()
    except OSError as error:
        why = f"{nearest} is a file" if isinstance(error, NotADirectoryError) else reason(error)
        raise OutputError(f"{folder}: nothing can be written there ({why})") from None
