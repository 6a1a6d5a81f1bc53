"""The iterator for programs: sources, an estimator and steps in one `for` loop."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from posecv.engines.network import Network, load_network
from posecv.errors import UsageError
from posecv.estimators import Estimator
from posecv.estimators.single_pass import Everybody, OneHand, OnePerson
from posecv.result import Result
from posecv.run.ahead import Ahead
from posecv.run.job import Job, Work
from posecv.run.report import Reporter
from posecv.sources import Source, Still
from posecv.sources.find import find_sources
from posecv.sources.selection import Selection
from posecv.steps import MakeStep

__all__ = ["stream"]

WAITING = 4  # stills that are read before they are wanted


def stream(
    inputs: str | int | Path | Sequence[str | int | Path],
    network: Network | Estimator | str | None = None,
    *,
    first: int = 0,
    last: int | None = None,
    step: int = 1,
    steps: Sequence[MakeStep] = (),
    keep_maps: bool = False,
    progress: bool = False,
) -> Iterator[Result]:
    """Find the people of images, videos, cameras and streams, one result a frame.

    Parameters
    ----------
    inputs : str, int, path or several of them
        What `--input` takes: an image, a video, a folder, a quoted pattern, the number of a camera, an address.
    network : Network, Estimator or str
        A network, or the name of a model; by default the one that the scripts run. What it can do is found: everybody,
        one person, or one hand. An estimator of `posecv.estimators` does what it is made for.
    first, last, step : int
        Which frames of videos, counted from 0.
    steps : sequence of callable
        Make what is done with each result afterwards; each source gets fresh ones.
    keep_maps : bool
        Whether results have a `view` with the network's maps.
    progress : bool
        Whether a progress bar is drawn where stderr is a terminal and tqdm is installed.

    Yields
    ------
    Result
        With frame, people, source, number and time. Of a camera that is faster than the loop frames are left out.

    Raises
    ------
    InputError
        If an input cannot be read; at once, since a program decides itself what happens to the others.
    ModelError, UsageError
        If the network is not there, or an argument has a value that it cannot have.

    Examples
    --------
    >>> import posecv
    >>> for result in posecv.stream("film.mp4", last=2):                  # doctest: +SKIP
    ...     print(result.number, len(result.people))
    """
    words = [str(each) for each in ([inputs] if isinstance(inputs, (str, int, Path)) else inputs)]
    if not words or not all(words):
        raise UsageError("inputs is empty; name an image, a video, a folder or a camera's number")
    selection = Selection(first, last, step)
    sources = find_sources(words, selection)
    return _results(sources, _estimator(network), steps, keep_maps, progress)


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
    """The stills of a source, read ahead; of a live one the newest."""
    return Ahead(source.stills(), 1 if source.live else WAITING, (lambda new, old: True) if source.live else None)


def _estimator(network: Network | Estimator | str | None) -> Estimator:
    """What finds people with a network, by what the network can do."""
    if network is None or isinstance(network, str):
        network = load_network(network) if network else load_network()
    if not isinstance(network, Network):
        return network
    if network.skeleton.name in ("hand", "face"):
        return OneHand(network)
    return Everybody(network) if network.has_fields else OnePerson(network)
