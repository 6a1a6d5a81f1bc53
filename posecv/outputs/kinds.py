"""The kinds of outputs. A new kind is a file in this folder and an entry in `KINDS`."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from posecv.drawing.style import Style
from posecv.errors import UsageError
from posecv.outputs import Output, angles, films, growing, openpose_json, pictures
from posecv.outputs.coordinates import Unturned
from posecv.outputs.files import FILE_SUFFIXES, Kind, plan_files, result_names
from posecv.outputs.heatmaps import Heatmaps
from posecv.sources import Source
from posecv.terminal import say

__all__ = ["KINDS", "OutputKind", "OutputSettings", "Planned", "names_file", "one_file"]


@dataclass(frozen=True)
class OutputSettings:
    """Settings of outputs besides their place.

    Attributes
    ----------
    style : Style
        How people are drawn.
    codec : str or None
        The codec of videos.
    scale : str
        The coordinates in records, one of `posecv.outputs.coordinates.SCALES`.
    maps : tuple of str
        Which of the network's maps to write, as words for `posecv.outputs.heatmaps.channels_of`.
    json_form : str
        The form of JSON records, one of `posecv.outputs.forms.FORMS`.
    json_folders : bool
        Whether the records of each video go into a folder of their own.
    csv_form : str
        The form of tables, one of `posecv.outputs.growing.CSV_FORMS`.
    annotations : str or None
        A file of COCO annotations with the ids of the images.
    rate : float or None
        Images per second in a video that is made of images.
    rotate, flip
        What is done to the frames and is to be undone in records, as in `posecv.sources.selection.Selection`.
    """

    style: Style = field(default_factory=Style)
    codec: str | None = None
    scale: str = "image"
    maps: tuple[str, ...] = ("all",)
    json_form: str = "openpose"
    json_folders: bool = False
    csv_form: str = "plain"
    annotations: str | None = None
    rate: float | None = None
    rotate: int = 0
    flip: bool = False

    def recorded(self, output: Output) -> Output:
        """The output, for records in the coordinates of the file if frames are rotated or flipped."""
        return Unturned(output, self.rotate, self.flip) if self.rotate or self.flip else output


@dataclass(frozen=True)
class Planned:
    """An output of one source.

    Attributes
    ----------
    output : Output
        Receives the results; sources may share one.
    file : Path
        The file that it writes, for the checks before the run.
    told : Path
        What the report line for the source names: the file, or the folder if there are many files.
    """

    output: Output
    file: Path
    told: Path


@dataclass(frozen=True)
class OutputKind:
    """A kind of output.

    Attributes
    ----------
    name : str
        Its option, without leading dashes and with underscores.
    plan : callable
        Called with its place, all sources and the settings; returns the outputs of each source, in order.
    grows : Kind or None
        The file for all sources, which cannot be resumed, if the kind has one.
    """

    name: str
    plan: Callable[[str, Sequence[Source], OutputSettings], list[list[Planned]]]
    grows: Kind | None = None


def _drawn(where: str, sources: Sequence[Source], settings: OutputSettings) -> list[list[Planned]]:
    """An image per image, a video per video, or one video of everything."""
    style, codec = settings.style, settings.codec
    if where and names_file(where, films.KIND):
        file = one_file(where, films.KIND)
        films.check_codec(file, codec)
        if settings.rate and all(source.has_frames for source in sources):
            say(f"--rate {settings.rate:g} is ignored: a drawn video keeps the frame rate of its source")
        whole = films.DrawnFilm(file, codec, style, rate=settings.rate or films.RATE)
        return _shared(sources, whole, file)
    planned: list[list[Planned]] = []
    files = plan_files([source.path for source in sources], where, pictures.KIND)
    for source, file in zip(sources, files, strict=True):
        if source.has_frames:
            _refuse_one_file(where, source, file, pictures.KIND, "a video such as out.avi")
            film = file.with_name(file.name.removesuffix(pictures.KIND.ending) + films.KIND.ending)
            film = film.with_name(film.name + films.default_suffix())
            films.check_codec(film, codec)
            planned.append([Planned(films.DrawnFilm(film, codec, style, only_whole=True), film, film)])
        else:
            planned.append([Planned(pictures.DrawnPicture(file, style), file, file)])
    return planned


def _frames(where: str, sources: Sequence[Source], settings: OutputSettings) -> list[list[Planned]]:
    """An image of each frame, in a folder."""
    folder = _folder("images", where)
    files = [folder / f"{name}{pictures.KIND.ending}" for name in result_names([source.path for source in sources])]
    return [
        [Planned(pictures.DrawnFrames(file, settings.style), file, folder if source.has_frames else file)]
        for source, file in zip(sources, files, strict=True)
    ]


def _records(where: str, sources: Sequence[Source], settings: OutputSettings) -> list[list[Planned]]:
    """OpenPose's records: one file per frame, or one line per frame in one file."""
    if names_file(where, growing.JSONL_KIND):
        file = one_file(where, growing.JSONL_KIND)
        lines = growing.JsonLines(file, scale=settings.scale, form=settings.json_form)
        return _shared(sources, settings.recorded(lines), file)
    planned = []
    files = plan_files([source.path for source in sources], where, openpose_json.KIND)
    for source, file in zip(sources, files, strict=True):
        if source.has_frames:
            _refuse_one_file(where, source, file, openpose_json.KIND, "a .jsonl file")
            if settings.json_folders:
                file = file.with_name(file.name.removesuffix(openpose_json.KIND.ending)) / file.name
        output = settings.recorded(openpose_json.OpenPoseJson(file, settings.scale, form=settings.json_form))
        planned.append([Planned(output, file, file.parent if source.has_frames else file)])
    return planned


def _table(where: str, sources: Sequence[Source], settings: OutputSettings) -> list[list[Planned]]:
    file = one_file(where, growing.CSV_KIND)
    table = growing.Csv(file, scale=settings.scale, form=settings.csv_form)
    return _shared(sources, settings.recorded(table), file)


def _angles(where: str, sources: Sequence[Source], settings: OutputSettings) -> list[list[Planned]]:
    file = one_file(where, angles.KIND)
    return _shared(sources, angles.AnglesCsv(file), file)


def _coco(where: str, sources: Sequence[Source], settings: OutputSettings) -> list[list[Planned]]:
    file = one_file(where, growing.COCO_KIND)
    ids = growing.image_ids(settings.annotations) if settings.annotations else None
    growing.check_ids(((source.path, source.has_frames) for source in sources), ids)
    return _shared(sources, settings.recorded(growing.CocoResults(file, ids=ids)), file)


def _heatmaps(where: str, sources: Sequence[Source], settings: OutputSettings) -> list[list[Planned]]:
    """The requested maps of each frame, in a folder."""
    folder = _folder("heatmaps", where)
    planned = []
    for name in result_names([source.path for source in sources]):
        outputs = [Heatmaps(folder / name, item) for item in settings.maps]
        planned.append([Planned(output, output.values_file, folder) for output in outputs])
    return planned


def _folder(option: str, where: str) -> Path:
    """The folder that an option names; UsageError for the name of a file."""
    folder = Path(os.path.expanduser(where))
    if where in ("", "-") or (folder.suffix.lower() in FILE_SUFFIXES and not folder.is_dir()):
        raise UsageError(f"{option}={where!r} is not the name of a folder; it needs one for several files")
    return folder


KINDS = (
    OutputKind("output", _drawn, films.KIND),
    OutputKind("images", _frames),
    OutputKind("json", _records, growing.JSONL_KIND),
    OutputKind("csv", _table, growing.CSV_KIND),
    OutputKind("angles", _angles, angles.KIND),
    OutputKind("coco_json", _coco, growing.COCO_KIND),
    OutputKind("heatmaps", _heatmaps),
)


def _shared(sources: Sequence[Source], output: Output, file: Path) -> list[list[Planned]]:
    """One output for all sources."""
    return [[Planned(output, file, file)] for _ in sources]


def names_file(where: str, kind: Kind) -> bool:
    """Whether an option's value is the name of a file of that kind."""
    path = os.path.expanduser(where)
    return Path(path).suffix.lower() in kind.suffixes and not os.path.isdir(path) and not where.endswith(("/", os.sep))


def one_file(where: str, kind: Kind) -> Path:
    """The file that an option names; UsageError if it is not of that kind."""
    if not where or not names_file(where, kind):
        suffixes = ", ".join(sorted(kind.suffixes))
        raise UsageError(f"{kind.option}={where!r} is not a file name with the suffix {suffixes}")
    return Path(os.path.expanduser(where))


def _refuse_one_file(where: str, source: Source, file: Path, kind: Kind, better: str) -> None:
    """Raise UsageError if a video would have to go into a file for one frame."""
    if not file.name.endswith(kind.ending):
        said = f"{kind.option}={where} holds one frame, but {source.path} is a video"
        raise UsageError(f"{said}; give {better} or a folder")
