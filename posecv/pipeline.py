"""The pipeline: source, estimate, outputs, one picture after the other.

A picture that fails is reported and counted, and the others are done; what is done stays, whatever ends the run.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from posecv.errors import InputError, OutputError
from posecv.outputs import Output
from posecv.outputs.window import WindowClosed
from posecv.people import People
from posecv.sources.pictures import read_picture

__all__ = ["Job", "run"]

Frame = NDArray[np.uint8]
Estimate = Callable[[Frame, dict[str, float]], People]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Job:
    """A picture and what is to be made of it.

    Attributes
    ----------
    source : Path
        The picture's file.
    outputs : tuple of Output
        Where its people go.
    files : tuple of Path
        What the outputs write, for the line that tells about it.
    """

    source: Path
    outputs: tuple[Output, ...]
    files: tuple[Path, ...] = ()


def run(jobs: Sequence[Job], estimate: Estimate, *, bar: bool = False) -> int:
    """Do all jobs; a line on stderr for each, and a progress bar below where there are several.

    Parameters
    ----------
    jobs : sequence of Job
        In order.
    estimate : callable
        Takes a frame and a dict for the seconds that "network" and "decoding" take; returns its people.
    bar : bool
        Whether a progress bar may be drawn.

    Returns
    -------
    int
        The exit code: 0 if all were done, 1 if some failed, 2 if none could be done.
    """
    done, failures = 0, []
    with _progress(jobs, bar=bar and len(jobs) > 1) as (remaining, say):
        try:
            for job in remaining:
                try:
                    _do(job, estimate, say)
                    done += 1
                except (InputError, OutputError, MemoryError, cv2.error) as error:
                    failures.append(error)
                    say(_failure(job, error))
        except WindowClosed:
            pass
        except KeyboardInterrupt:
            say(f"stopped: {done} of {_pictures(len(jobs))} done")
            raise
        finally:
            for output in dict.fromkeys(output for job in jobs for output in job.outputs):
                output.close()
    if failures and len(jobs) > 1:
        print(f"{done} of {_pictures(len(jobs))} done, {len(failures)} failed", file=sys.stderr)
    if not failures:
        return 0
    return 1 if done or any(isinstance(error, OutputError) for error in failures) else 2


def _do(job: Job, estimate: Estimate, say: Say) -> None:
    """Read, estimate and write one picture, and say what was found: of files when they are there, else at once."""
    frame = read_picture(job.source)
    seconds: dict[str, float] = {}
    people = estimate(frame, seconds)
    times = ", ".join(f"{step} {1000 * seconds[step]:.1f} ms" for step in ("network", "decoding") if step in seconds)
    line = f"{job.source}: {describe(people)} ({times})"
    if not job.files:
        say(line)  # a window stays for as long as somebody looks at it
    for output in job.outputs:
        output.write(frame, people)
    if job.files:
        say(f"{line} -> {', '.join(map(str, job.files))}")


def describe(people: People) -> str:
    """What was found, in words.

    >>> from posecv.skeletons import COCO
    >>> describe(People.empty(COCO))
    'nobody'
    """
    if not len(people):
        return "nobody" if people.skeleton.name not in ("hand", "face") else f"no {people.skeleton.name}"
    one, several = {"hand": ("hand", "hands"), "face": ("face", "faces")}.get(
        people.skeleton.name, ("person", "people")
    )
    found = int(people.found.sum())
    return f"{len(people)} {one if len(people) == 1 else several}, {found} keypoint{'s' * (found != 1)}"


def _failure(job: Job, error: Exception) -> str:
    """One line about a picture that failed, with its name."""
    if isinstance(error, MemoryError) or getattr(error, "code", None) == cv2.Error.StsNoMem:
        return f"{job.source}: there is not enough memory for it"
    text = " ".join(str(getattr(error, "err", None) or error).split())
    named = any(text.startswith(str(path)) for path in (job.source, *job.files))
    return text if named else f"{job.source}: {text}"


def _pictures(number: int) -> str:
    return f"{number} picture{'s' * (number != 1)}"


def _tqdm() -> Any:
    """The progress bar, which is not required."""
    try:
        from tqdm import tqdm
    except ImportError:
        return None
    return tqdm


@contextmanager
def _progress(jobs: Sequence[Job], *, bar: bool) -> Iterator[tuple[Iterable[Job], Say]]:
    """The jobs, with a progress bar where stderr is a terminal and tqdm is there, and a way to say a line above it."""
    tqdm = _tqdm() if bar and sys.stderr.isatty() else None
    if tqdm is None:
        yield jobs, lambda line: print(line, file=sys.stderr, flush=True)
        return
    # Not at once: what is said about the network, which the first picture loads, gets a line of its own.
    with tqdm(jobs, unit="picture", leave=False, file=sys.stderr, delay=0.1) as shown:
        yield shown, lambda line: tqdm.write(line, file=sys.stderr)
