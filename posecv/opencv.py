"""Check the installed OpenCV: whether posecv can use it, and whether it can open a window.

Problems of an installation are found before the work starts and reported in one line with the command that fixes them.
Collecting facts and judging them are separate: `complaint` and `window_complaint` are pure functions.

>>> complaint(Facts(python=(3, 12), version="4.6.0"))
'OpenCV 4.6.0 is too old: pip install "opencv-python>=4.8,<6"'
>>> complaint(Facts(python=(3, 12), version="5.0.0")) is None
True
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import importlib.metadata
import importlib.util
import io
import os
import re
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from posecv.errors import DeviceError

__all__ = ["Desktop", "Facts", "complaint", "installed_wheels", "require_opencv", "require_packages", "wheels_note",
           "why_no_window", "window_complaint"]  # fmt: skip

WHEELS = ("opencv-python", "opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless")
COMPANIONS = ("numpy",)
LIVE = ("imutils",)  # extra packages of the live demo; listed with the others if something else is missing
OLDEST_PYTHON = (3, 10)
# System libraries that the wheels with windows need, and the Debian packages that contain them.
SYSTEM_LIBRARIES = ("libGL", "libgthread", "libglib")
SYSTEM_PACKAGES = "libgl1 libglib2.0-0"


# ------------------------------------------------------------------------------------------------- the installation


@dataclass(frozen=True)
class Facts:
    """Facts about an installation.

    Attributes
    ----------
    python : (int, int)
        Version.
    missing : tuple of str
        Required packages, except OpenCV, that are not installed.
    wheels : tuple of str
        Name and version of the OpenCV wheels in one folder, such as "opencv-python 4.14.0.94".
    numpy : str
        NumPy's version.
    failure : str or None
        Why `import cv2` failed.
    version : str or None
        cv2's version; None if the imported module has none.
    origin : str or None
        The file or folder that `import cv2` loaded.
    dnn, importers : bool
        Whether it has the module dnn, and `readNetFromCaffe` or `readNetFromONNX` in it.
    """

    python: tuple[int, int]
    missing: tuple[str, ...] = ()
    wheels: tuple[str, ...] = ()
    numpy: str = ""
    failure: str | None = None
    version: str | None = None
    origin: str | None = None
    dnn: bool = True
    importers: bool = True


def require_opencv() -> None:
    """Check Python, NumPy and OpenCV before anything else imports them.

    Any number of threads may call it at once; the first one does the check.

    Raises
    ------
    DeviceError
        If one is unsuitable; the message says what to install.
    """
    found = _require_once()
    if found:
        raise DeviceError(found)


def wheels_note() -> str | None:
    """A line about several OpenCV wheels that work nevertheless, as in environments with rtmlib; None for one."""
    wheels = installed_wheels(sys.path)
    if len(wheels) < 2:
        return None
    import cv2

    return f"several OpenCV wheels are installed ({', '.join(wheels)}); Python imports OpenCV {cv2.__version__}"


def require_packages(*names: str) -> None:
    """Check packages that only some programs need; DeviceError if one is not installed."""
    missing = _missing(names)
    if missing:
        raise DeviceError(complaint(Facts(sys.version_info[:2], missing)))


_FINDING = threading.Lock()
_found: list[str | None] = []  # the result of the check, once it is known


def _require_once() -> str | None:
    with _FINDING:
        if not _found:
            _found.append(complaint(_facts()))
        return _found[0]


def complaint(facts: Facts) -> str | None:
    """The problem of an installation and its remedy in one line; None if there is none."""
    wheel = facts.wheels[0].split()[0] if facts.wheels else WHEELS[0]
    install = f'pip install "{wheel}>=4.8,<6"'
    if facts.python < OLDEST_PYTHON:
        return f"Python {_dotted(facts.python)} is too old: posecv needs {_dotted(OLDEST_PYTHON)} or newer"
    if facts.missing:
        return f"not installed: {', '.join(facts.missing)}; pip install {' '.join(facts.missing)}"
    broken = facts.failure is not None or facts.version is None or not (facts.dnn and facts.importers)
    if len(facts.wheels) > 1 and broken:
        return _too_many_wheels(facts.wheels)
    if facts.failure is not None:
        return _import_complaint(facts, wheel, install)
    if facts.version is None:
        return _hollow_complaint(facts.origin, wheel, install)
    if _numbers(facts.version) < (4, 8):
        return f"OpenCV {facts.version} is too old: {install}"
    if _numbers(facts.version) >= (6,):
        return f"OpenCV {facts.version} is newer than this posecv: {install}"
    if not facts.dnn:
        return f"this OpenCV {facts.version} was built without the module dnn: {install}"
    if not facts.importers:
        return f"this OpenCV {facts.version} was built without importers for networks: {install}"
    return None


def _too_many_wheels(wheels: tuple[str, ...]) -> str:
    """OpenCV's wheels overwrite each other's files: at best the one installed last works."""
    names = [wheel.split()[0] for wheel in wheels]
    contrib = "-contrib" if any("-contrib-" in name for name in names) else ""
    return (
        f"several OpenCV wheels overwrite each other here ({', '.join(wheels)}): pip uninstall -y {' '.join(names)} "
        f'and then one of them, pip install "opencv{contrib}-python>=4.8,<6" or, without windows, '
        f'"opencv{contrib}-python-headless>=4.8,<6"'
    )


def _import_complaint(facts: Facts, wheel: str, install: str) -> str:
    """Explain why `import cv2` failed, from its error message."""
    failure = facts.failure or ""
    last = next((line.strip() for line in reversed(failure.splitlines()) if line.strip()), "no reason given")
    if failure == "No module named 'cv2'" and not facts.wheels:
        return f'OpenCV is missing: {install} (on a server pip install "opencv-python-headless>=4.8,<6")'
    if re.search(r"multiarray|_ARRAY_API|ABI version|NumPy 1\.x", failure):
        found = facts.wheels[0] if facts.wheels else "this OpenCV"
        upgrade = install.replace("install", "install --upgrade")
        return f'{found} was built for another NumPy than {facts.numpy}: {upgrade}, or pip install "numpy<2"'
    library = re.search(r"(lib[^\s/]+?)\.so[.\d]*(?=: cannot open shared object file)", failure)
    if library:
        headless = wheel if wheel.endswith("-headless") else f"{wheel}-headless"
        swap = f'pip uninstall -y {wheel} and then pip install "{headless}>=4.8,<6"'
        known = library[1].split("-")[0] in SYSTEM_LIBRARIES
        system = f"apt-get install {SYSTEM_PACKAGES}" if known else "install the package that contains it"
        return f"OpenCV needs {library[0]}, which this system does not have: {swap} (no windows), or {system}"
    return f"OpenCV cannot be imported ({last}): {_reinstall(wheel, install)}"


def _hollow_complaint(origin: str | None, wheel: str, install: str) -> str:
    """Explain why `import cv2` imported something that is not OpenCV."""
    if origin and Path(origin).name == "cv2.py":
        return f"{origin} hides OpenCV: rename that file"
    return f"what is left of OpenCV in {origin or 'this environment'} does not work: {_reinstall(wheel, install)}"


def _reinstall(wheel: str, install: str) -> str:
    return f"pip uninstall -y {wheel} and then {install}"


def _facts() -> Facts:
    """The facts about this process. Imports cv2; if that fails, its output is discarded."""
    missing = _missing(COMPANIONS)
    if missing:  # report everything to install at once
        missing += _missing(LIVE)
        missing += (f'"{WHEELS[0]}>=4.8,<6"',) if _missing(("cv2",)) else ()
    known = Facts(sys.version_info[:2], missing, installed_wheels(sys.path), _version_of("numpy") or "this one")
    if missing:
        return known  # importing cv2 would only print about the same problem
    printed = {"stdout": io.StringIO(), "stderr": io.StringIO()}  # OpenCV prints where only a part of it is left
    try:
        with _held_back("stdout", printed["stdout"]), _held_back("stderr", printed["stderr"]):
            cv2 = importlib.import_module("cv2")
    except Exception as error:  # an unknown binary module can raise anything
        return replace(known, failure=str(error) or type(error).__name__)
    for name, text in printed.items():
        if (stream := getattr(sys, name)) is not None:
            with contextlib.suppress(BrokenPipeError):
                stream.write(text.getvalue())
    dnn = getattr(cv2, "dnn", None)
    return replace(
        known,
        version=getattr(cv2, "__version__", None),
        origin=cv2.__file__ or next(iter(cv2.__path__), None),
        dnn=dnn is not None,
        importers=hasattr(dnn, "readNetFromCaffe") or hasattr(dnn, "readNetFromONNX"),
    )


class _Switch:
    """A stream that captures the output of one thread and passes on that of all others."""

    def __init__(self, others: Any, kept: io.StringIO) -> None:
        self._others, self._kept, self._thread = others, kept, threading.get_ident()

    def write(self, text: str) -> int:
        target = self._kept if self._thread == threading.get_ident() else self._others
        return len(text) if target is None else target.write(text)

    def flush(self) -> None:
        if self._others is not None:
            self._others.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._others, name)

    def let_go(self) -> None:
        """Pass on all output from now on, since others may have kept a reference to this object."""
        self._thread = -1


@contextlib.contextmanager
def _held_back(name: str, kept: io.StringIO) -> Iterator[None]:
    """Capture what this thread prints on stdout or stderr. Changes of `sys.stdout` by other threads remain."""
    before = getattr(sys, name)
    switch: Any = _Switch(before, kept)
    setattr(sys, name, switch)
    try:
        yield
    finally:
        switch.let_go()
        if getattr(sys, name) is switch:
            setattr(sys, name, before)


def _missing(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in names if not _is_there(name))


def _is_there(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ValueError:  # a module without a spec, or None, which blocks an import
        return sys.modules.get(name) is not None


def installed_wheels(folders: Sequence[str]) -> tuple[str, ...]:
    """Name and version of the OpenCV wheels in the first folder that has any; later ones are hidden and do no harm."""
    for folder in folders:
        found = [f"{name} {version}" for name in WHEELS if (version := _version_of(name, folder))]
        if found:
            return tuple(found)
    return ()


def _version_of(name: str, folder: str | None = None) -> str | None:
    """The version of an installed distribution, in one folder or anywhere.

    Conda's do not count, since conda registers its OpenCV under the names of several wheels for pip.
    """
    path = sys.path if folder is None else [folder]
    for distribution in importlib.metadata.distributions(name=name, path=path):
        if (distribution.read_text("INSTALLER") or "").strip() != "conda":
            return distribution.version
    return None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


# ----------------------------------------------------------------------------------------------------- the windows


@dataclass(frozen=True)
class Desktop:
    """Facts that decide whether a window can open.

    Attributes
    ----------
    gui : str
        OpenCV's name for its windows: "QT5", "GTK3", "COCOA", "WIN32UI", "NONE".
    system : str
        As `sys.platform`.
    environment : mapping of str to str
        The environment variables of the process.
    qt_platforms : frozenset of str or None
        The platforms that a wheel's own Qt supports; None if OpenCV uses the system's libraries.
    x_answers : bool
        Whether the X server of DISPLAY accepts connections.
    """

    gui: str
    system: str
    environment: Mapping[str, str]
    qt_platforms: frozenset[str] | None = None
    x_answers: bool = True


def why_no_window(gui: ModuleType | None = None) -> str | None:
    """Why `gui.imshow` must not be called here, in a few words; None if it can be.

    `gui` is OpenCV, or a replacement with the same functions. Without a display, `imshow` does not raise: Qt aborts
    the whole process. So this checks without using Qt.
    """
    gui = gui or importlib.import_module("cv2")
    kind = re.search(r"^\s*GUI:\s*(\S+)", gui.getBuildInformation(), re.MULTILINE)
    return window_complaint(
        Desktop(
            gui=kind[1].upper() if kind and hasattr(gui, "imshow") else "NONE",
            system=sys.platform,
            environment=os.environ,
            qt_platforms=_qt_platforms(gui),
            x_answers=_x_answers() if os.environ.get("DISPLAY") else False,
        )
    )


def window_complaint(desktop: Desktop) -> str | None:
    """Why no window can open on that desktop; None if one can.

    >>> window_complaint(Desktop("QT5", "linux", {}))
    'there is no display (DISPLAY is not set)'
    """
    environment = desktop.environment
    if desktop.gui == "NONE":
        return "this OpenCV was built without windows (opencv-python-headless)"
    if desktop.system in ("win32", "cygwin", "darwin"):
        remote = environment.get("SSH_CONNECTION") or environment.get("SSH_TTY")
        return "a login over ssh has no display" if remote else None
    platform = environment.get("QT_QPA_PLATFORM", "").split(";")[0].split(":")[0]
    if desktop.gui.startswith("QT") and platform:
        if platform in ("offscreen", "minimal"):
            return f"QT_QPA_PLATFORM={platform} has no display"
        if desktop.qt_platforms is not None and platform not in desktop.qt_platforms:
            return f"this OpenCV does not support QT_QPA_PLATFORM={platform}"
    if environment.get("WAYLAND_DISPLAY") and (desktop.qt_platforms is None or "wayland" in desktop.qt_platforms):
        return None
    if not environment.get("DISPLAY"):
        return "there is no display (DISPLAY is not set)"
    if not desktop.x_answers:
        return f"the display {environment['DISPLAY']} does not respond"
    return None


def _qt_platforms(gui: ModuleType) -> frozenset[str] | None:
    """The platform plugins beside a wheel's cv2, the only ones that its Qt finds."""
    folder = Path(gui.__file__ or "").parent / "qt" / "plugins" / "platforms"
    if not folder.is_dir():
        return None
    return frozenset(path.stem.removeprefix("libq").split("-")[0] for path in folder.iterdir())


def _x_answers() -> bool:
    """Whether the X server accepts connections, by libxcb, which reports an error where Qt and GTK would abort."""
    try:
        xcb = ctypes.CDLL("libxcb.so.1")
    except OSError:
        return False
    xcb.xcb_connect.argtypes = [ctypes.c_char_p, ctypes.c_void_p]
    xcb.xcb_connect.restype = ctypes.c_void_p
    xcb.xcb_connection_has_error.argtypes = xcb.xcb_disconnect.argtypes = [ctypes.c_void_p]
    connection = xcb.xcb_connect(None, None)
    refused = bool(xcb.xcb_connection_has_error(connection))
    xcb.xcb_disconnect(connection)
    return not refused
