"""The session: one thread takes the camera's frames, another finds people in the newest one."""

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


FAREWELLS = 1.0, 30.0  # seconds for camera and network to finish; some cameras hang


@dataclass(frozen=True, eq=False)
class Shot:
    """A frame of the camera.

    Attributes
    ----------
    still : Still
        The frame.
    at : float
        Its time of arrival, by `perf_counter`.
    """

    still: Still
    at: float


@dataclass(frozen=True, eq=False)
class Found:
    """The result of the network for a shot.

    Attributes
    ----------
    shot : Shot
        The processed shot.
    result : Result
        Its people, in pixels of the shot's frame, and their maps.
    latency : float
        Seconds from the shot, or from a change of settings, to the result.
    """

    shot: Shot
    result: Result
    latency: float


@dataclass(frozen=True)
class Rates:
    """Frames per second of the camera and of the network, and seconds from a frame to its people."""

    capture: float
    network: float
    latency: float


class Session:
    """Takes frames and finds people until the user or the source ends it.

    Parameters
    ----------
    source : Source
        The camera.
    estimator : Estimator
        Finds people, with the settings `single` and `net_size`; it runs in the session's thread.
    controls : Controls
        Determine the settings.
    steps : sequence of callable
        Create the steps that process each result. A shot that is estimated again after a change of controls skips them.
    again : bool
        Whether to repeat a video.
    scribe : Scribe or None
        Receives every shot that the network processed, with its people.

    Attributes
    ----------
    shots, found : Latest
        The newest frame, and the newest people, usually of an older frame.
    failure : Exception or None
        The error that ended it.
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
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End, and wait until all results are written."""
        self._controls.do("quit")
        for thread, seconds in zip(self._threads, FAREWELLS, strict=True):
            thread.join(seconds)
        if self._scribe:
            self._scribe.finish()
            self._scribe.join()

    def rates(self) -> Rates:
        """The current rates."""
        now = perf_counter()
        _, found = self.found.now()
        return Rates(self._capture_rate.at(now), self._network_rate.at(now), found.latency if found else 0.0)

    def picture_version(self) -> tuple[int, int, int]:
        """A value that changes when there is a new image to show.

        New people of an older frame do not change it: they are drawn on the next frame, which comes soon.
        """
        with self._controls.changed:
            (shots, shot), (founds, found) = self.shots.now(), self.found.now()
            return shots, founds if found and found.shot is shot else 0, self._controls.version

    def wait_for_picture(self, version: tuple[int, int, int], seconds: float) -> None:
        """Wait until the image has another version, or the time is over."""
        self._controls.wait(lambda state: state.ended or self.picture_version() != version, seconds)

    def news_version(self) -> tuple[int, int]:
        """A value that changes when there is news for the web page."""
        with self._controls.changed:
            return self.found.now()[0], self._controls.version

    def _guarded(self, work: Callable[[], None]) -> None:
        """Thread: do some work; any error ends the session."""
        try:
            work()
        except Exception as error:
            self.failure = self.failure or error
        finally:
            self._controls.do("quit")

    def _capture(self) -> None:
        """Thread: take all frames, and keep the newest unless paused."""

        def wait(seconds: float) -> bool:
            return self._controls.wait(lambda state: state.ended, seconds)

        for still in as_camera(self._source, wait, again=self._again):
            if not self._source.live:  # a video file pauses too, a camera continues in the background
                self._controls.wait(lambda state: state.ended or not state.paused)
            if self._controls.state.ended:
                return
            now = perf_counter()
            self._capture_rate.tick(now)
            if not self._controls.state.paused:
                self.shots.put(Shot(still, now))

    def _infer(self) -> None:
        """Thread: find the people in the newest frame, and again if the settings change."""
        done: tuple[object, ...] = ()
        while (task := self._task(done)) is not None:
            shot, state = task
            self._look(shot, state, new=done[:1] != (shot,))
            done = shot, state.single, state.net_size

    def _task(self, done: tuple[object, ...]) -> tuple[Shot, State] | None:
        """Wait for a new combination of frame and settings; None at the end."""

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
