"""The controls: what can be changed while the demo runs, by the window's keys and by the web page alike."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from posecv.errors import UsageError
from posecv.geometry import FREE, MULTIPLE, NetSize

__all__ = ["CONTROLS", "KEYS", "Control", "Controls", "State", "stepped"]

STEP = 48  # network pixels by which + and - change the input's first given side
SMALLEST, LARGEST = 80, 1104


@dataclass(frozen=True)
class Control:
    """One thing that can be done.

    Attributes
    ----------
    action : str
        Its name.
    keys : tuple of str
        The keys that do it. Letters are small ones alone: OpenCV tells arrow keys as capital Q, R, S and T.
    label : str
        What a button for it says.
    means : str
        What it does, in a few words.
    toggles : str
        The field of `State` that it turns on and off, if it does that.
    """

    action: str
    keys: tuple[str, ...]
    label: str
    means: str
    toggles: str = ""


CONTROLS = (
    Control("pause", (" ",), "Pause", "pause, and go on", "paused"),
    Control("save", ("s",), "Save", "save picture and JSON"),
    Control("record", ("r",), "Record", "record what is shown", "recording"),
    Control("heatmaps", ("h",), "Heatmaps", "show the heatmaps", "heatmaps"),
    Control("single", ("1",), "One person", "find one person"),
    Control("multi", ("2",), "Everybody", "find everybody"),
    Control("smaller", ("-",), "Faster", "smaller network input: faster"),
    Control("larger", ("+", "="), "Finer", "larger network input: finer"),
    Control("mirror", ("m",), "Mirror", "show as in a mirror", "mirrored"),
    Control("help", ("?",), "Keys", "show the keys", "help"),
    Control("quit", ("q", "\x1b"), "Quit", "end the demo"),
)
KEYS = {key: control.action for control in CONTROLS for key in control.keys}
_TOGGLED = {control.action: control.toggles for control in CONTROLS if control.toggles}


@dataclass(frozen=True)
class State:
    """What the controls have set.

    Attributes
    ----------
    net_size : str
        Of the network's input, as `--net-size` says it.
    single : bool
        One person is found; otherwise everybody.
    paused, mirrored, heatmaps, recording, help : bool
        The image stands still; left and right change places; the heatmaps are shown; a video is made; the keys are
        shown.
    saves : int
        How many times an image was asked for.
    notice : str
        What was said last.
    notices : int
        How many times something was said.
    ended : bool
        It is over.
    """

    net_size: str
    single: bool = False
    paused: bool = False
    mirrored: bool = False
    heatmaps: bool = False
    recording: bool = False
    help: bool = False
    saves: int = 0
    notice: str = ""
    notices: int = 0
    ended: bool = False


class Controls:
    """The state, and the ways to change it; for any thread.

    Parameters
    ----------
    state : State
        How it begins.
    can_multi : bool
        Whether the network tells people apart.

    Attributes
    ----------
    changed : threading.Condition
        Is notified of every change.
    version : int
        How many changes there were.
    """

    def __init__(self, state: State, *, can_multi: bool = True) -> None:
        self.changed = threading.Condition()
        self.version = 0
        self._state = state
        self._can_multi = can_multi

    @property
    def state(self) -> State:
        """How things stand."""
        return self._state

    def do(self, action: str) -> State:
        """Do what a control says, and return the state then; UsageError where none is called so."""
        with self.changed:
            if action == "multi" and not self._can_multi:
                return self.tell("this network cannot tell people apart")
            return self._become(lambda state: _after(state, action))

    def press(self, key: str) -> None:
        """Do what a key means; most mean nothing."""
        if key in KEYS:
            self.do(KEYS[key])

    def tell(self, notice: str) -> State:
        """Show a line for a while."""
        return self._become(lambda state: replace(state, notice=notice, notices=state.notices + 1))

    def stop_recording(self) -> None:
        """End the video where it cannot go on."""
        self._become(lambda state: replace(state, recording=False))

    def wait(self, until: Callable[[State], bool], seconds: float | None = None) -> bool:
        """Wait until the state is as wanted, or the seconds are over; whether it is."""
        with self.changed:
            return self.changed.wait_for(lambda: until(self._state), seconds)

    def _become(self, change: Callable[[State], State]) -> State:
        with self.changed:
            before, self._state = self._state, change(self._state)
            if self._state != before:
                self.version += 1
                self.changed.notify_all()
            return self._state


def _after(state: State, action: str) -> State:
    """The state after an action."""
    if action in _TOGGLED:
        turned: dict[str, Any] = {_TOGGLED[action]: not getattr(state, _TOGGLED[action])}
        return replace(state, **turned)
    if action in ("single", "multi"):
        return replace(state, single=action == "single")
    if action in ("larger", "smaller"):
        return replace(state, net_size=stepped(state.net_size, STEP if action == "larger" else -STEP))
    if action == "save":
        return replace(state, saves=state.saves + 1)
    if action == "quit":
        return replace(state, ended=True)
    raise UsageError(f"no control is called {action!r}; there are {', '.join(each.action for each in CONTROLS)}")


def stepped(net_size: str, step: int) -> str:
    """A size of the network's input, so many pixels larger or smaller in its first given side, the other in proportion.

    What would be too small or too large stays as it is.

    >>> stepped("-1x368", 48), stepped("656x368", -48), stepped("80", -48)
    ('-1x416', '608x336', '80')
    """
    size = NetSize.parse(net_size)
    sides = [size.shorter] if size.shorter != FREE else [size.width, size.height]
    first = next(side for side in sides if side != FREE)
    share = (first + step) / first
    changed = [side if side == FREE else MULTIPLE * round(side * share / MULTIPLE) for side in sides]
    given = [side for side in changed if side != FREE]
    return "x".join(map(str, changed)) if SMALLEST <= min(given) <= max(given) <= LARGEST else net_size
