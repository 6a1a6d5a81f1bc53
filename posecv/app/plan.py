"""Plan the outputs of each source from the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from posecv.errors import UsageError
from posecv.outputs import Output, films
from posecv.outputs.kinds import KINDS, OutputSettings, Planned, names_file, one_file
from posecv.sources import Source

__all__ = ["Plan", "plan_outputs", "recording_file"]


@dataclass
class Plan:
    """The outputs of one source.

    Attributes
    ----------
    outputs : tuple of Output
        Receive its results; plans share outputs that hold all sources.
    files : tuple of Path
        The files that they write, for the checks before the run.
    told : tuple of Path
        The same for the report line; many files in a folder are reported as the folder.
    """

    outputs: tuple[Output, ...] = ()
    files: tuple[Path, ...] = ()
    told: tuple[Path, ...] = ()

    def is_done(self) -> bool:
        """Whether all files are there and whole; unknown, so false, for a folder of many files."""
        return all(output.has(None) for output in self.outputs)

    def add(self, planned: Planned) -> None:
        """Add an output."""
        self.outputs += (planned.output,)
        self.files += (planned.file,)
        self.told += () if planned.told in self.told else (planned.told,)


def plan_outputs(
    places: Mapping[str, str | None], settings: OutputSettings, sources: Sequence[Source], *, resume: bool = False
) -> list[Plan]:
    """One plan per source; empty if no output is requested.

    Parameters
    ----------
    places : mapping
        Name of a kind of output -> its place; None if not requested.
    settings : OutputSettings
        Settings of the outputs.
    sources : sequence of Source
        All of them.
    resume : bool
        Whether to resume an earlier run.

    Raises
    ------
    UsageError
        If the request is impossible.
    """
    plans = [Plan() for _ in sources]
    asked = [(kind, place) for kind in KINDS if (place := places.get(kind.name)) is not None]
    for kind, place in asked:
        if resume and place and kind.grows and names_file(place, kind.grows):
            raise UsageError(f"--resume works only with folders, but {kind.grows.option}={place} is one file")
    for kind, place in asked:
        for plan, outputs in zip(plans, kind.plan(place, sources, settings), strict=True):
            for planned in outputs:
                plan.add(planned)
    return plans if asked and sources else []


def recording_file(where: str) -> Path:
    """The video file of `--record`; UsageError if it is not one."""
    return one_file(where, replace(films.KIND, option="record"))
