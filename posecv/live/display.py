"""The display: a loop in the calling thread that shows, saves and records the video."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter

from posecv.arrays import Frame
from posecv.drawing.style import Style
from posecv.live import view
from posecv.live.controls import Controls, State
from posecv.live.latest import Latest
from posecv.live.scribe import Recorder
from posecv.live.session import Session
from posecv.outputs.window import Window, WindowClosed
from posecv.people import People
from posecv.result import Result
from posecv.run.job import joined
from posecv.run.report import describe
from posecv.terminal import say

__all__ = ["Display"]


LOOK = 0.01  # seconds between two checks of the keys, while there is no new image
PATIENCE = 0.2  # the same without a window
NOTICED = 4.0  # seconds that a notice is shown


class Display:
    """Shows the results of a session until it ends.

    Parameters
    ----------
    session : Session
        Finds people.
    controls : Controls
        Determine what to show.
    style : Style
        How people are drawn.
    recorder : Recorder
        Saves images and records videos.
    window : Window or None
        Shows the video and reads keys.
    pictures : Latest or None
        Receives the images for the web page.
    telling : bool
        Whether to print a line with the results every second.
    """

    def __init__(
        self,
        session: Session,
        controls: Controls,
        style: Style,
        recorder: Recorder,
        *,
        window: Window | None = None,
        pictures: Latest[Frame] | None = None,
        telling: bool = False,
    ) -> None:
        self._session, self._controls, self._style, self._recorder = session, controls, style, recorder
        self._window, self._pictures, self._telling = window, pictures, telling
        self._nobody = People.empty(session.skeleton)
        self._saves = self._notices = 0
        self._noticed = self._told = perf_counter() - NOTICED

    def run(self) -> None:
        """Show every new image until the demo ends."""
        seen: object = None
        while not (state := self._controls.state).ended:
            version = self._session.picture_version(), self._notice(state)
            if version != seen:
                self._show(state)
                seen = version
            if self._window:
                self._press(self._window)
            if self._telling:
                self._tell()
            self._session.wait_for_picture(version[0], LOOK if self._window else PATIENCE)

    def _show(self, state: State) -> None:
        """Draw the image and pass it to window, web page and recording."""
        _, shot = self._session.shots.now()
        _, found = self._session.found.now()
        if state.saves != self._saves:
            self._saves = state.saves
            self._save(state)
        if not state.recording:
            self._recorder.stop()
        if shot is None or not (self._window or self._pictures or state.recording):
            return
        shown = view.picture(shot.still.frame, found, state, self._style)
        if state.recording and not state.paused:
            self._recorder.record(joined(Result(self._nobody), replace(shot.still, frame=shown)))
        if self._pictures:
            self._pictures.put(shown)
        if self._window:
            self._window.show(self._written(shown.copy(), state))

    def _written(self, shown: Frame, state: State) -> Frame:
        """Draw rates, notice and keys, in place."""
        notice = self._notice(state)
        view.write_lines(shown, [view.facts(self._session.rates(), state), *([notice] if notice else [])])
        if state.help:
            view.write_help(shown)
        return shown

    def _notice(self, state: State) -> str:
        """The last notice, while it is shown."""
        if state.notices != self._notices:
            self._notices, self._noticed = state.notices, perf_counter()
        return state.notice if perf_counter() - self._noticed < NOTICED else ""

    def _save(self, state: State) -> None:
        """Save the people found last with their frame, not mirrored."""
        _, found = self._session.found.now()
        if found is None:
            self._controls.tell("there is no result to save yet")
            return
        shown = view.picture(found.shot.still.frame, found, replace(state, mirrored=False), self._style)
        self._recorder.save(replace(found.result, frame=shown))

    def _press(self, window: Window) -> None:
        """Handle keys; a window opens with its first image."""
        if self._session.shots.now()[0]:
            try:
                self._controls.press(window.key(1))
            except WindowClosed:
                self._controls.do("quit")

    def _tell(self) -> None:
        """Print the rates and the last result once per second."""
        now = perf_counter()
        _, found = self._session.found.now()
        if found and now - self._told >= 1:
            self._told = now
            say(f"{view.facts(self._session.rates(), self._controls.state)}: {describe(found.result.people)}")
