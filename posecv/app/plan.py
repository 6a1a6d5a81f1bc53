"""From what is asked for to the outputs of each source."""

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
    """What is made of one source.

    Attributes
    ----------
    outputs : tuple of Output
        Where its results go; plans share those that hold all sources.
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

    def add(self, planned: Planned) -> None:
        """One more output."""
        self.outputs += (planned.output,)
        self.files += (planned.file,)
        self.told += () if planned.told in self.told else (planned.told,)


def plan_outputs(
    places: Mapping[str, str | None], settings: OutputSettings, sources: Sequence[Source], *, resume: bool = False
) -> list[Plan]:
    """A plan a source; none at all where no output is asked for.

    Parameters
    ----------
    places : mapping
        Name of a kind of outputs -> where it goes; None where it is not asked for.
    settings : OutputSettings
        What the outputs are told.
    sources : sequence of Source
        All of them.
    resume : bool
        Whether an earlier run is gone on with.

    Raises
    ------
    UsageError
        Where what is asked for cannot be.
    """
    plans = [Plan() for _ in sources]
    asked = [(kind, place) for kind in KINDS if (place := places.get(kind.name)) is not None]
    for kind, place in asked:
        if resume and place and kind.grows and names_file(place, kind.grows):
            raise UsageError(f"--resume goes on with folders, and {kind.grows.option}={place} is one file")
    for kind, place in asked:
        for plan, outputs in zip(plans, kind.plan(place, sources, settings), strict=True):
            for planned in outputs:
                plan.add(planned)
    return plans if asked and sources else []


def recording_file(where: str) -> Path:
    """The video that `--record` names; UsageError where it names none."""
    return one_file(where, replace(films.KIND, option="record"))
