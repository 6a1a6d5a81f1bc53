"""The iterator for programs: sources, an estimator and steps in one `for` loop."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from posecv.checks import check_number, known_arguments, short
from posecv.engines.network import Network, load_network
from posecv.errors import UsageError
from posecv.estimators import Estimator
from posecv.estimators.single_pass import Everybody, OneHand, OnePerson
from posecv.estimators.top_down import TopDown
from posecv.result import Result
from posecv.run.ahead import Ahead
from posecv.run.job import Job, Work
from posecv.run.report import Reporter
from posecv.sources import Source, Still
from posecv.sources.find import find_sources
from posecv.sources.selection import Selection
from posecv.steps import MakeStep
from posecv.steps.ids import MakeIds
from posecv.steps.smooth import MakeSmooth

__all__ = ["stream"]

WAITING = 4  # stills read in advance
PLACES = str, int, np.integer, Path
GIVE = "give an image, a video, a folder or a camera's number"


@known_arguments
def stream(
    inputs: str | int | Path | Iterable[str | int | Path],
    network: Network | Estimator | str | Path | None = None,
    *,
    first: int = 0,
    last: int | None = None,
    step: int = 1,
    track: bool = False,
    smooth: bool = False,
    steps: Sequence[MakeStep] = (),
    keep_maps: bool = False,
    progress: bool = False,
) -> Iterator[Result]:
    """Find the people in images, videos, cameras and streams, one result per frame.

    Parameters
    ----------
    inputs : str, int, path or several of them
        Like `--input`: an image, a video, a folder, a quoted pattern, the number of a camera, an address.
    network : Network, Estimator, str or path
        A network, the name of a model, or an ONNX file; by default the scripts' default model. The network determines
        what is found: everybody, one person, or one hand. Or an estimator of `posecv.estimators`.
    first, last, step : int
        Which frames of videos to use, counted from 0.
    track : bool
        Whether people have `ids` that stay the same over the frames of a source (`posecv.steps.ids`).
    smooth : bool
        Whether keypoints jitter less (`posecv.steps.smooth`); people have ids then too.
    steps : sequence of callable
        Create the steps that process each result; each source gets new ones.
    keep_maps : bool
        Whether results have a `view` with the network's maps.
    progress : bool
        Whether to show a progress bar, if stderr is a terminal and tqdm is installed.

    Yields
    ------
    Result
        With frame, people, source, number and time. Frames of a camera that is faster than the loop are dropped.

    Raises
    ------
    InputError
        If an input cannot be read. It ends the loop, so the program can decide what to do with the others.
    ModelError, UsageError
        If the network is missing, or an argument has an invalid value.

    Examples
    --------
    >>> import posecv
    >>> for result in posecv.stream("film.mp4", last=2):                  # doctest: +SKIP
    ...     print(result.number, len(result.people))
    """
    words = _words(inputs)
    if not words or not all(words):
        raise UsageError(f"inputs is empty; {GIVE}")
    selection = Selection(first, last, step)
    sources = find_sources(words, selection)
    smoothing: tuple[MakeStep, ...] = (MakeSmooth(),) if smooth else ()
    steps = (MakeIds(), *smoothing, *steps) if track or smooth else steps
    return _results(sources, _estimator(network), steps, keep_maps, progress)


def _words(inputs: object) -> list[str]:
    """The inputs as on a command line; UsageError for other things, such as an array."""
    several = [inputs] if isinstance(inputs, PLACES) else inputs
    if not isinstance(several, Iterable) or isinstance(several, (bytes, np.ndarray)):
        raise UsageError(f"inputs is a {type(inputs).__name__}; {GIVE}; for an array, call an estimator")
    words = list(several)
    for each in words:
        if not isinstance(each, PLACES) or isinstance(each, bool):
            raise UsageError(f"inputs has a {type(each).__name__}; {GIVE}; for an array, call an estimator")
        if isinstance(each, int):
            check_number("inputs", each, whole=True)
        elif "\0" in str(each):
            raise UsageError(f"inputs has {short(each)}, which cannot be the name of a file")
    return [str(each) for each in words]


def _results(
    sources: Sequence[Source], estimator: Estimator, steps: Sequence[MakeStep], keep_maps: bool, progress: bool
) -> Iterator[Result]:
    """The results of all sources in order."""
    with closing(Reporter([Job(source) for source in sources], bar=progress)) as reporter:
        for source in sources:
            work = Work(estimator, steps, keeps_view=keep_maps)
            reporter.expect(source.expected())
            with closing(_stills(source)) as stills:
                for still in stills:
                    yield work(still)
                    reporter.advance()


def _stills(source: Source) -> Ahead[Still]:
    """The stills of a source, read in advance; only the newest if it is live."""
    return Ahead(source.stills(), 1 if source.live else WAITING, (lambda new, old: True) if source.live else None)


def _estimator(network: Network | Estimator | str | Path | None) -> Estimator:
    """The estimator for a network, depending on its skeleton and fields."""
    if network is None or isinstance(network, (str, Path)):
        network = load_network(network) if network else load_network()
    if not isinstance(network, Network):
        if not callable(network) or isinstance(network, type):
            raise UsageError("network must be a Network, an estimator, or the name of a model or of an ONNX file")
        return network
    if network.skeleton.name in ("hand", "face"):
        return OneHand(network)
    if network.crops:
        return TopDown.of(network)
    return Everybody(network) if network.has_fields else OnePerson(network)
