"""The live demo: people in front of a camera, in a window and on a web page.

    capture ──newest shot──▶ inference ──newest people──▶ display ──▶ window, web page, recording
       └─────────────────────newest shot──────────────────▶┘

Each part has its own thread and takes the newest input, so that the video is as smooth as the camera, however slow the
network is: each frame is shown with the people found last.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from imutils.video import FPS

from posecv.drawing.style import Style
from posecv.errors import PoseError
from posecv.estimators import Estimator
from posecv.live.controls import Controls, State
from posecv.live.display import Display
from posecv.live.scribe import Recorder, Scribe
from posecv.live.server import Page
from posecv.live.session import Session
from posecv.outputs import Output
from posecv.outputs.window import Window
from posecv.sources import Source
from posecv.steps import MakeStep
from posecv.terminal import say

__all__ = ["Demo", "State", "run"]


@dataclass(frozen=True)
class Demo:
    """What to show, and where.

    Attributes
    ----------
    source : Source
        The camera.
    estimator : Estimator
        Finds people. It must have the settings `single` (one person or everybody) and `net_size`.
    steps : tuple of callable
        Create the steps that process each result.
    state : State
        The initial state of the controls.
    can_multi : bool
        Whether the network can find everybody.
    has_maps : bool
        Whether it has heatmaps of the whole frame.
    style : Style
        How people are drawn.
    outputs : tuple of Output
        Receive every frame that the network processed, with its people.
    film : Path or None
        The file of the first recording.
    codec : str or None
        The codec of recordings.
    window : Window or None
        Shows the video.
    address : (str, int) or None
        Host and port of the web page.
    """

    source: Source
    estimator: Estimator
    state: State
    can_multi: bool = True
    has_maps: bool = True
    style: Style = field(default_factory=Style)
    steps: tuple[MakeStep, ...] = ()
    outputs: tuple[Output, ...] = ()
    film: Path | None = None
    codec: str | None = None
    window: Window | None = None
    address: tuple[str, int] | None = None


def run(demo: Demo) -> int:
    """Run the demo until the user ends it; the exit code is 0, or 1 after an error.

    A video file is repeated if there is a window or a web page. InputError if there is no camera.
    """
    controls = Controls(demo.state, can_multi=demo.can_multi, has_maps=demo.has_maps)
    recorder = Recorder(controls, demo.film, demo.codec)
    scribe = Scribe(demo.outputs, recorder.failed) if demo.outputs else None
    watched = bool(demo.window or demo.address)
    session = Session(demo.source, demo.estimator, controls, steps=demo.steps, again=watched, scribe=scribe)
    with ExitStack() as stack:
        page = None
        if demo.address:
            page = Page(demo.address, session, controls)
            stack.callback(page.close)
            say(f"the page is at {page.url}")
        if demo.window:
            stack.callback(demo.window.close)
        stack.callback(recorder.close)
        stack.enter_context(_summary(session))
        session.start()
        stack.callback(session.stop)
        pictures = page.pictures if page else None
        display = Display(
            session, controls, demo.style, recorder, window=demo.window, pictures=pictures, telling=not watched
        )
        display.run()
    if isinstance(session.failure, PoseError) and session.shots.now()[0]:
        say(str(session.failure))
    elif session.failure:
        raise session.failure
    return 1 if session.failure or recorder.failures else 0


@contextmanager
def _summary(session: Session) -> Iterator[None]:
    """Report the number of frames at the end, also after an error."""
    clock = FPS().start()
    try:
        yield
    finally:
        clock.stop()
        shots, founds = session.shots.now()[0], session.found.now()[0]
        if shots:
            seconds = clock.elapsed()
            rates = f"{shots / seconds:.1f}/s; the network processed {founds}, {founds / seconds:.1f}/s"
            say(f"{shots} frames in {seconds:.1f} s, {rates}")
