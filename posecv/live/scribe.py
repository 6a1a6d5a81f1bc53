"""Scribes: write results in the background."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from queue import Full, Queue

from posecv.drawing.style import Style
from posecv.live.controls import Controls
from posecv.outputs import Output
from posecv.outputs.films import CODECS, RATE, DrawnFilm, default_suffix
from posecv.outputs.openpose_json import KIND as JSON_KIND
from posecv.outputs.openpose_json import OpenPoseJson
from posecv.outputs.pictures import DrawnPicture
from posecv.result import Result
from posecv.terminal import say

__all__ = ["Recorder", "Scribe", "Steady"]


WAITING = 8  # results that may wait to be written
LONGEST = 1.0  # seconds between two frames; a longer gap is a pause, which a video skips
AS_IT_IS = Style(render="none")


class Steady:
    """Passes results on at a constant rate, repeating or skipping some, so that a video has their duration.

    Parameters
    ----------
    film : Output
        Receives the results without numbers, at times that are 1 / rate apart.
    """

    wants_view = wants_rate = interactive = False

    def __init__(self, film: Output) -> None:
        self._film = film
        self._held: Result | None = None
        self._time = 0.0
        self._written = 0

    def write(self, result: Result) -> None:
        """Repeat the previous result until now, then take this one; OutputError if that fails."""
        rate = result.rate or RATE
        before = self._held or result
        step = result.time - before.time
        self._time += step if 0 <= step <= LONGEST else 1 / rate
        self._held = replace(result, number=None, rate=rate)
        place = round(self._time * rate)
        while self._written < place:
            self._film.write(replace(before, number=None, rate=rate))
            self._written += 1
        if self._written == place:
            self._film.write(self._held)
            self._written += 1

    def has(self, number: int | None) -> bool:
        """Always false: a camera has no earlier run to resume."""
        return False

    def close(self) -> None:
        """Finish the video."""
        self._film.close()


class Scribe:
    """Writes to outputs in its own thread; an output that fails is not used any more.

    Parameters
    ----------
    outputs : sequence of Output
        Where to write; videos get a constant rate.
    failed : callable
        Called with an error, in the scribe's thread.

    Attributes
    ----------
    is_whole : bool
        Whether everything has been written so far.
    """

    def __init__(self, outputs: Sequence[Output], failed: Callable[[Exception], None]) -> None:
        self._open: list[Output] = [Steady(each) if each.wants_rate else each for each in outputs]
        self.is_whole = True
        self._failed = failed
        self._queue: Queue[Result | None] = Queue(WAITING)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def write(self, result: Result, *, wait: bool = True) -> None:
        """Queue a result; if the queue is full, wait or skip it."""
        with suppress(Full):
            self._queue.put(result, block=wait)

    def finish(self) -> None:
        """Close the outputs after everything is written; do not wait."""
        self._queue.put(None)

    def join(self) -> None:
        """Wait, after `finish`, until everything is written and closed."""
        self._thread.join()

    def is_busy(self) -> bool:
        """Whether it is still writing."""
        return self._thread.is_alive()

    def _run(self) -> None:
        while (result := self._queue.get()) is not None:
            for output in list(self._open):
                if not self._done(partial(output.write, result)):
                    self._open.remove(output)
                    self._done(output.close)
        for output in self._open:
            self._done(output.close)

    def _done(self, work: Callable[[], None]) -> bool:
        """Do some work and return whether it succeeded."""
        try:
            work()
        except Exception as error:  # any error is reported, and the other outputs continue
            self.is_whole = False
            self._failed(error)
            return False
        return True


class Recorder:
    """Saves images and records the shown video, and reports the files.

    Parameters
    ----------
    controls : Controls
        Show notices, and are informed if a recording fails.
    file : Path or None
        The first video; later ones get numbers. By default the names contain the time.
    codec : str or None
        The codec of the videos.

    Attributes
    ----------
    failures : int
        Number of outputs that failed.
    """

    def __init__(self, controls: Controls, file: Path | None, codec: str | None) -> None:
        self.failures = 0
        self._controls, self._codec = controls, codec
        self._file = file
        self._given: set[Path] = set()  # names in use whose files may not exist yet
        self._film: Scribe | None = None
        self._busy: list[Scribe] = []

    def record(self, result: Result) -> None:
        """Add an image to the recording; start a recording if there is none."""
        if self._film is None:
            path = self._next_film()
            self._film = self._scribe(self._film_failed, DrawnFilm(path, self._codec, AS_IT_IS))
            self._tell(f"recording to {path}")
        self._film.write(result, wait=False)

    def stop(self) -> None:
        """End the recording, if there is one."""
        if self._film:
            self._film.finish()
            if self._film.is_whole:
                self._tell("the recording has ended")
            self._film = None

    def save(self, result: Result) -> None:
        """Save a result's frame, without drawing, and its people."""
        path = self._unused(Path(f"{_now()}.png"))
        record = path.with_name(path.stem + JSON_KIND.ending)
        scribe = self._scribe(self.failed, DrawnPicture(path, AS_IT_IS), OpenPoseJson(record))
        scribe.write(replace(result, number=None))
        scribe.finish()
        self._tell(f"saved {path} and {record}")

    def close(self) -> None:
        """Wait until everything is written."""
        self.stop()
        for scribe in self._busy:
            scribe.join()

    def failed(self, error: Exception) -> None:
        """Report an error."""
        self.failures += 1
        self._tell(" ".join(str(error).split()))

    def _film_failed(self, error: Exception) -> None:
        self._controls.stop_recording()
        self.failed(error)

    def _scribe(self, failed: Callable[[Exception], None], *outputs: Output) -> Scribe:
        self._busy = [each for each in self._busy if each.is_busy()]
        self._busy.append(Scribe(outputs, failed))
        return self._busy[-1]

    def _tell(self, line: str) -> None:
        say(line)
        self._controls.tell(line)

    def _next_film(self) -> Path:
        if self._file is None:
            return self._unused(Path(_now() + self._suffix()))
        if self._file in self._given:
            return self._unused(self._file)
        self._given.add(self._file)  # the first recording replaces an existing file, like other outputs
        return self._file

    def _suffix(self) -> str:
        """The default format, or the first one that supports the codec."""
        usual = default_suffix()
        if self._codec is None or self._codec in CODECS[usual]:
            return usual
        return next((suffix for suffix, codecs in CODECS.items() if self._codec in codecs), usual)

    def _unused(self, path: Path) -> Path:
        """The path, with the first free number if it exists."""
        number, unused = 1, path
        while unused in self._given or unused.exists():
            number += 1
            unused = path.with_name(f"{path.stem}-{number}{path.suffix}")
        self._given.add(unused)
        return unused


def _now() -> str:
    return time.strftime("posecv_%Y-%m-%d_%H-%M-%S")
