"""The live demo: people before a camera, in a window and on a web page.

    capture ──newest shot──▶ inference ──newest people──▶ display ──▶ window, web page, recording
       └─────────────────────newest shot──────────────────▶┘

Each has a thread of its own and takes what is newest, so that the image is as smooth as the camera, however slow the
network is: a frame is shown with the people found last.
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
    """What is to be shown, and where.

    Attributes
    ----------
    source : Source
        The camera.
    estimator : Estimator
        Finds one person or everybody, as its setting `single` says, with an input of the size `net_size`.
    steps : tuple of callable
        Make what is done with each result.
    state : State
        How the controls are set at first.
    can_multi : bool
        Whether everybody can be found.
    style : Style
        How people are shown.
    outputs : tuple of Output
        Get every frame that the network saw, with its people.
    film : Path or None
        What the first recording is called.
    codec : str or None
        Of recordings.
    window : Window or None
        Shows the image.
    address : (str, int) or None
        Host and port of the web page.
    """

    source: Source
    estimator: Estimator
    state: State
    can_multi: bool = True
    style: Style = field(default_factory=Style)
    steps: tuple[MakeStep, ...] = ()
    outputs: tuple[Output, ...] = ()
    film: Path | None = None
    codec: str | None = None
    window: Window | None = None
    address: tuple[str, int] | None = None


def run(demo: Demo) -> int:
    """Show the demo until somebody ends it; the exit code: 0, or 1 if something failed on the way.

    A video is repeated where somebody looks at it. InputError where there is no camera.
    """
    controls = Controls(demo.state, can_multi=demo.can_multi)
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
    """Tell at the end how many frames there were, however the end comes."""
    clock = FPS().start()
    try:
        yield
    finally:
        clock.stop()
        shots, founds = session.shots.now()[0], session.found.now()[0]
        if shots:
            seconds = clock.elapsed()
            rates = f"{shots / seconds:.1f}/s, the network saw {founds}, {founds / seconds:.1f}/s"
            say(f"{shots} frames in {seconds:.1f} s, {rates}")
