"""From the options to outputs: which files are made of each source."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from posecv.errors import UsageError
from posecv.outputs import Output, films, growing, openpose_json, pictures
from posecv.outputs.files import FILE_SUFFIXES, Kind, plan_files, result_names
from posecv.outputs.heatmaps import Heatmaps
from posecv.outputs.style import Style
from posecv.sources import Source
from posecv.sources.films import Film

__all__ = ["Plan", "plan_outputs", "recording_file"]


@dataclass
class Plan:
    """What is made of one source.

    Attributes
    ----------
    outputs : tuple of Output
        Where its people go; plans share those that hold all sources.
    files : tuple of Path
        What is written, to be looked at before.
    told : tuple of Path
        What is written, for the line that tells about it: of many files in a folder, the folder.
    """

    outputs: tuple[Output, ...] = ()
    files: tuple[Path, ...] = ()
    told: tuple[Path, ...] = ()

    def is_done(self) -> bool:
        """Whether all is there that is to be made; of many files in a folder only the frames can tell."""
        return all(file.exists() for file in self.files)

    def add(self, output: Output, file: Path, told: Path | None = None) -> None:
        """One more output."""
        self.outputs += (output,)
        self.files += (file,)
        told = told or file
        self.told += () if told in self.told else (told,)


def plan_outputs(options: Namespace, sources: Sequence[Source], style: Style) -> list[Plan]:
    """A plan a source; none at all where the options name no file.

    Raises
    ------
    UsageError
        Where the options ask for what cannot be.
    """
    plans = [Plan() for _ in sources]
    if options.resume:
        _check_resumed(options)
    if options.output is not None:
        _plan_drawn(plans, options, sources, style)
    if options.json is not None:
        _plan_records(plans, options, sources)
    if options.csv is not None:
        file = _one_file(options.csv, growing.CSV_KIND)
        _share(plans, growing.Csv(file, scale=options.keypoint_scale), file)
    if options.coco_json is not None:
        file = _one_file(options.coco_json, growing.COCO_KIND)
        _share(plans, growing.CocoResults(file), file)
    if options.heatmaps is not None:
        _plan_heatmaps(plans, options, sources)
    return plans if any(plan.outputs for plan in plans) else []


def recording_file(where: str) -> Path:
    """The film that `--record` names; UsageError where it names none."""
    return _one_file(where, replace(films.KIND, option="--record"))


def _has_many_frames(source: Source) -> bool:
    return isinstance(source, Film) or source.live


def _plan_drawn(
    plans: Sequence[Plan], options: Namespace, sources: Sequence[Source], style: Style
) -> None:
    """Pictures, a film of each film, or one film of everything."""
    if options.output and _names_file(options.output, films.KIND):
        file = _one_file(options.output, films.KIND)
        films.check_codec(file, options.codec)
        _share(plans, films.DrawnFilm(file, options.codec, style), file)
        return
    files = plan_files([source.path for source in sources], options.output, pictures.KIND)
    for plan, source, file in zip(plans, sources, files, strict=True):
        if _has_many_frames(source):
            _refuse_one_file(options.output, source, file, pictures.KIND, "a film such as out.avi")
            film = file.with_name(file.name.removesuffix(pictures.KIND.ending) + films.KIND.ending)
            film = film.with_name(film.name + films.default_suffix())
            films.check_codec(film, options.codec)
            plan.add(films.DrawnFilm(film, options.codec, style), film)
        else:
            plan.add(pictures.DrawnPicture(file, style), file)


def _plan_records(plans: Sequence[Plan], options: Namespace, sources: Sequence[Source]) -> None:
    """OpenPose's records: a file a still, or a line a still in one file."""
    if _names_file(options.json, growing.JSONL_KIND):
        file = _one_file(options.json, growing.JSONL_KIND)
        _share(plans, growing.JsonLines(file, scale=options.keypoint_scale), file)
        return
    files = plan_files([source.path for source in sources], options.json, openpose_json.KIND)
    for plan, source, file in zip(plans, sources, files, strict=True):
        film = _has_many_frames(source)
        if film:
            _refuse_one_file(options.json, source, file, openpose_json.KIND, "a .jsonl file")
        plan.add(openpose_json.OpenPoseJson(file, options.keypoint_scale), file, file.parent if film else file)


def _plan_heatmaps(plans: Sequence[Plan], options: Namespace, sources: Sequence[Source]) -> None:
    """For each still the maps that are asked for, in a folder."""
    folder = Path(os.path.expanduser(options.heatmaps))
    if not options.heatmaps or (folder.suffix.lower() in FILE_SUFFIXES and not folder.is_dir()):
        raise UsageError(f"--heatmaps {options.heatmaps!r} is not the name of a folder, and several files are written")
    for plan, name in zip(plans, result_names([source.path for source in sources]), strict=True):
        for item in options.heatmaps_of:
            output = Heatmaps(folder / name, item)
            plan.add(output, output.values_file, folder)


def _check_resumed(options: Namespace) -> None:
    """UsageError where what is to be gone on with is one file, which cannot be added to."""
    kinds = films.KIND, growing.JSONL_KIND, growing.CSV_KIND, growing.COCO_KIND
    for where, kind in zip((options.output, options.json, options.csv, options.coco_json), kinds, strict=True):
        if where and _names_file(where, kind):
            raise UsageError(f"--resume goes on with folders, and {kind.option} {where} is one file")


def _share(plans: Sequence[Plan], output: Output, file: Path) -> None:
    """One output for all sources."""
    for plan in plans:
        plan.add(output, file)


def _names_file(where: str, kind: Kind) -> bool:
    """Whether an option's value is the name of a file of a kind."""
    path = os.path.expanduser(where)
    return Path(path).suffix.lower() in kind.suffixes and not os.path.isdir(path) and not where.endswith(("/", os.sep))


def _one_file(where: str, kind: Kind) -> Path:
    """The file that an option names; UsageError where it names none of its kind."""
    if not where or not _names_file(where, kind):
        suffixes = ", ".join(sorted(kind.suffixes))
        raise UsageError(f"{kind.option} {where!r}: this names no {suffixes} file")
    return Path(os.path.expanduser(where))


def _refuse_one_file(where: str, source: Source, file: Path, kind: Kind, better: str) -> None:
    """UsageError where a film would have to go into a file that holds one frame."""
    if not file.name.endswith(kind.ending):
        said = f"{kind.option} {where} holds one frame, and {source.path} is a film"
        raise UsageError(f"{said}; name {better} or a folder")
