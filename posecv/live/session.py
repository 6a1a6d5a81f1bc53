"""The session: a thread that takes the camera's frames, and one that finds the people of the newest."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from time import perf_counter

from posecv.drawing.rate import Rate
from posecv.estimators import Estimator
from posecv.live.camera import as_camera
from posecv.live.controls import Controls, State
from posecv.live.latest import Latest
from posecv.live.scribe import Scribe
from posecv.result import Result
from posecv.run.job import joined
from posecv.sources import Source, Still
from posecv.steps import MakeStep

__all__ = ["Found", "Rates", "Session", "Shot"]


FAREWELLS = 1.0, 30.0  # seconds that camera and network have to come to an end; some cameras hang


@dataclass(frozen=True, eq=False)
class Shot:
    """A frame of the camera.

    Attributes
    ----------
    still : Still
        The frame.
    at : float
        When it came, by `perf_counter`.
    """

    still: Still
    at: float


@dataclass(frozen=True, eq=False)
class Found:
    """What the network found in a shot.

    Attributes
    ----------
    shot : Shot
        Where it looked.
    result : Result
        Its people, in pixels of the shot's frame, and the maps that they were found in.
    latency : float
        Seconds from the shot to its people, or from when they were to be found in another way.
    """

    shot: Shot
    result: Result
    latency: float


@dataclass(frozen=True)
class Rates:
    """How fast everything is: frames of the camera and of the network a second, seconds from a frame to its people."""

    capture: float
    network: float
    latency: float


class Session:
    """Takes frames and finds people until the controls say that it is over, or the source is.

    Parameters
    ----------
    source : Source
        The camera.
    estimator : Estimator
        Finds people, as its settings `single` and `net_size` say; it is called in the session's own thread.
    controls : Controls
        Say what is wanted.
    steps : sequence of callable
        Make what is done with each result; a shot that is estimated again, because a control changed, skips them.
    again : bool
        Whether a video is repeated.
    scribe : Scribe or None
        Gets every shot that the network saw, with its people.

    Attributes
    ----------
    shots, found : Latest
        The newest frame, and the newest people, mostly of an older frame.
    failure : Exception or None
        What ended it early.
    """

    def __init__(
        self,
        source: Source,
        estimator: Estimator,
        controls: Controls,
        *,
        steps: Sequence[MakeStep] = (),
        again: bool = False,
        scribe: Scribe | None = None,
    ) -> None:
        self.skeleton = estimator.skeleton
        self.shots: Latest[Shot] = Latest(controls.changed)
        self.found: Latest[Found] = Latest(controls.changed)
        self.failure: Exception | None = None
        self._source, self._estimator, self._controls = source, estimator, controls
        self._steps = [make() for make in steps]
        self._before: Result | None = None
        self._again, self._scribe = again, scribe
        self._capture_rate, self._network_rate = Rate(), Rate()
        self._threads = [
            threading.Thread(target=self._guarded, args=(work,), daemon=True) for work in (self._capture, self._infer)
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End, and wait until everything that was found is written."""
        self._controls.do("quit")
        for thread, seconds in zip(self._threads, FAREWELLS, strict=True):
            thread.join(seconds)
        if self._scribe:
            self._scribe.finish()
            self._scribe.join()

    def rates(self) -> Rates:
        """How fast everything is now."""
        now = perf_counter()
        _, found = self.found.now()
        return Rates(self._capture_rate.at(now), self._network_rate.at(now), found.latency if found else 0.0)

    def picture_version(self) -> tuple[int, int, int]:
        """Differs when there is another image to be shown.

        New people of an older frame are none yet: they are drawn on the next one, which comes sooner than it takes to
        find them.
        """
        with self._controls.changed:
            (shots, shot), (founds, found) = self.shots.now(), self.found.now()
            return shots, founds if found and found.shot is shot else 0, self._controls.version

    def wait_for_picture(self, version: tuple[int, int, int], seconds: float) -> None:
        """Wait until the image has another version, or the seconds are over."""
        self._controls.wait(lambda state: state.ended or self.picture_version() != version, seconds)

    def news_version(self) -> tuple[int, int]:
        """Differs when there is something new to be told."""
        with self._controls.changed:
            return self.found.now()[0], self._controls.version

    def _guarded(self, work: Callable[[], None]) -> None:
        """Thread: some work; whatever ends it ends all."""
        try:
            work()
        except Exception as error:
            self.failure = self.failure or error
        finally:
            self._controls.do("quit")

    def _capture(self) -> None:
        """Thread: take all frames, and keep the newest while the image moves."""

        def wait(seconds: float) -> bool:
            return self._controls.wait(lambda state: state.ended, seconds)

        for still in as_camera(self._source, wait, again=self._again):
            if not self._source.live:  # a video pauses with the image, a camera goes on unseen
                self._controls.wait(lambda state: state.ended or not state.paused)
            if self._controls.state.ended:
                return
            now = perf_counter()
            self._capture_rate.tick(now)
            if not self._controls.state.paused:
                self.shots.put(Shot(still, now))

    def _infer(self) -> None:
        """Thread: find the people of the newest frame, and again where another way to find them is asked for."""
        done: tuple[object, ...] = ()
        while (task := self._task(done)) is not None:
            shot, state = task
            self._look(shot, state, new=done[:1] != (shot,))
            done = shot, state.single, state.net_size

    def _task(self, done: tuple[object, ...]) -> tuple[Shot, State] | None:
        """Wait for a frame and a way to look at it that are not done; None at the end."""

        def is_new() -> bool:
            state, shot = self._controls.state, self.shots.now()[1]
            return state.ended or (shot is not None and (shot, state.single, state.net_size) != done)

        with self._controls.changed:
            self._controls.changed.wait_for(is_new)
            state, shot = self._controls.state, self.shots.now()[1]
            return None if state.ended or shot is None else (shot, state)

    def _look(self, shot: Shot, state: State, *, new: bool) -> None:
        """Find the people of a frame."""
        begin = shot.at if new else perf_counter()
        found = self._estimator(shot.still.frame, self._before, single=state.single, net_size=state.net_size)
        result = joined(found, shot.still)
        if new:
            for step in self._steps:
                result = step(result)
            self._before = replace(result, frame=None, view=None)
        now = perf_counter()
        self._network_rate.tick(now)
        self.found.put(Found(shot, result, now - begin))
        if self._scribe and new:
            self._scribe.write(result)
