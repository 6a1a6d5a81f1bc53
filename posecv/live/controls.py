"""The controls: what the window's keys and the web page can change while the demo runs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from posecv.errors import UsageError
from posecv.geometry import FREE, MULTIPLE, NetSize

__all__ = ["CONTROLS", "KEYS", "Control", "Controls", "State", "stepped"]

STEP = 48  # network pixels by which + and - change the first given side of the input
SMALLEST, LARGEST = 80, 1104


@dataclass(frozen=True)
class Control:
    """One action of the user.

    Attributes
    ----------
    action : str
        The name.
    keys : tuple of str
        The keys for it. Letters are lower case only, since OpenCV reports arrow keys as capital Q, R, S and T.
    label : str
        The label of its button.
    means : str
        A short description.
    toggles : str
        The field of `State` that it switches on and off, if any.
    """

    action: str
    keys: tuple[str, ...]
    label: str
    means: str
    toggles: str = ""


CONTROLS = (
    Control("pause", (" ",), "Pause", "pause or continue", "paused"),
    Control("save", ("s",), "Save", "save image and JSON"),
    Control("record", ("r",), "Record", "record the shown video", "recording"),
    Control("heatmaps", ("h",), "Heatmaps", "show the heatmaps", "heatmaps"),
    Control("single", ("1",), "One person", "find one person"),
    Control("multi", ("2",), "Everybody", "find everybody"),
    Control("smaller", ("-",), "Faster", "smaller network input: faster"),
    Control("larger", ("+", "="), "Finer", "larger network input: finer"),
    Control("mirror", ("m",), "Mirror", "mirror the image", "mirrored"),
    Control("help", ("?",), "Keys", "show the keys", "help"),
    Control("quit", ("q", "\x1b"), "Quit", "end the demo"),
)
KEYS = {key: control.action for control in CONTROLS for key in control.keys}
_TOGGLED = {control.action: control.toggles for control in CONTROLS if control.toggles}


@dataclass(frozen=True)
class State:
    """The state of the controls.

    Attributes
    ----------
    net_size : str
        The size of the network's input, as for `--net-size`.
    single : bool
        Find one person; otherwise everybody.
    paused, mirrored, heatmaps, recording, help : bool
        Freeze the image; swap left and right; show the heatmaps; record a video; show the keys.
    saves : int
        Number of requests to save an image.
    notice : str
        The last notice.
    notices : int
        Number of notices.
    ended : bool
        The demo has ended.
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
    """The state and the ways to change it; safe for threads.

    Parameters
    ----------
    state : State
        The initial state.
    can_multi : bool
        Whether the network can find everybody.
    has_maps : bool
        Whether it has heatmaps of the whole frame.

    Attributes
    ----------
    changed : threading.Condition
        Notified of every change.
    version : int
        Number of changes.
    """

    def __init__(self, state: State, *, can_multi: bool = True, has_maps: bool = True) -> None:
        self.changed = threading.Condition()
        self.version = 0
        self._state = state
        self._can_multi, self._has_maps = can_multi, has_maps

    @property
    def state(self) -> State:
        """The current state."""
        return self._state

    def do(self, action: str) -> State:
        """Perform a control's action and return the new state; UsageError for an unknown action."""
        with self.changed:
            if action == "multi" and not self._can_multi:
                return self.tell("this network cannot tell people apart")
            if action == "heatmaps" and not self._has_maps:
                return self.tell("this network has no heatmaps of the whole frame; --model light_body has")
            return self._become(lambda state: _after(state, action))

    def press(self, key: str) -> None:
        """Perform the action of a key, if it has one."""
        if key in KEYS:
            self.do(KEYS[key])

    def tell(self, notice: str) -> State:
        """Show a notice for a few seconds."""
        return self._become(lambda state: replace(state, notice=notice, notices=state.notices + 1))

    def stop_recording(self) -> None:
        """End the recording after an error."""
        self._become(lambda state: replace(state, recording=False))

    def wait(self, until: Callable[[State], bool], seconds: float | None = None) -> bool:
        """Wait until a condition on the state is true, or the time is over; return whether it is true."""
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
    raise UsageError(f"unknown action {action!r}; choose one of {', '.join(each.action for each in CONTROLS)}")


def stepped(net_size: str, step: int) -> str:
    """Change a network's input size by some pixels in its first given side; the other side changes in proportion.

    A size that would become too small or too large stays unchanged.

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
