"""What tests share: the repository, the scripts run as programs, and the evaluation data where there is some."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import pytest

import walking
from networks import Pair, own_models, painted_network
from posecv.engines.network import Network, load_network
from posecv.skeletons import COCO, HAND

REPOSITORY = Path(__file__).resolve().parent.parent
SCRIPTS = "run_pose.py", "run_multi_pose.py", "run_hand.py", "webcam_pose.py"
SHARED = Path(os.environ.get("POSECV_SHARED") or REPOSITORY.parent / "shared")

# Our own networks, whose weights are committed; all other caffemodels are somebody else's.
OWN_NAMES = "light_body", "light_body_large", "light_hand", "light_face", "light_pose", "light_detect"
OWN_WEIGHTS = tuple(f"models/{name}/pose.caffemodel" for name in OWN_NAMES)

# A test neither opens a window nor finds weights that happen to lie on this computer.
HIDDEN = (
    "DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM", "POSECV_CACHE", "POSECV_MODELS", "XDG_CACHE_HOME", "PYTHONPATH",
)  # fmt: skip

# A shell that starts the tests in the background lets them ignore Ctrl-C, and with them all programs that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)


class RunScript(Protocol):
    """Run one of the scripts as a user does; see the fixture `run_script`."""

    def __call__(
        self,
        script: str,
        *words: str | Path,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float = 120,
    ) -> subprocess.CompletedProcess[str]: ...


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing that a test makes stays in the user's cache folder, and nothing there is found."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POSECV_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of evaluation data, which POSECV_SHARED names."""
    if not SHARED.is_dir():
        pytest.skip(f"no evaluation data in {SHARED} (POSECV_SHARED names another folder)")
    return SHARED


@pytest.fixture(scope="session")
def light_coco(shared: Path) -> tuple[Path, Path]:
    """prototxt and caffemodel of a real network."""
    folder = shared / "models" / "light-coco"
    pair = folder / "pose.prototxt", folder / "pose.caffemodel"
    if not all(path.is_file() for path in pair):
        pytest.skip(f"no network in {folder}")
    return pair


@pytest.fixture(scope="session")
def coco(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """The pair that reads people painted in COCO's colours."""
    return painted_network(tmp_path_factory.mktemp("coco"), COCO)


@pytest.fixture(scope="session")
def painted(coco: Pair) -> Network:
    """Reads people painted in COCO's colours."""
    return load_network(*coco, device="cpu")


@pytest.fixture(scope="session")
def hand_pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """The pair that reads hands painted as tables of dots."""
    return painted_network(tmp_path_factory.mktemp("hand"), HAND)


@pytest.fixture(scope="session")
def hand(hand_pair: Pair) -> Network:
    """Reads hands painted as tables of dots."""
    return load_network(*hand_pair, device="cpu")


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the scripts and their package, with painted networks under the names of our own."""
    folder = copied(tmp_path_factory.mktemp("checkout"))
    own_models(folder / "models")
    return folder


@pytest.fixture(scope="session")
def bare_checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the scripts, their package and the manifest, without any weights."""
    folder = copied(tmp_path_factory.mktemp("bare"))
    (folder / "models").mkdir()
    shutil.copy(REPOSITORY / "models" / "MANIFEST.tsv", folder / "models")
    return folder


def copied(folder: Path) -> Path:
    """The folder, with the scripts and their package in it."""
    shutil.copytree(REPOSITORY / "posecv", folder / "posecv", ignore=shutil.ignore_patterns("__pycache__"))
    for script in SCRIPTS:
        shutil.copy(REPOSITORY / script, folder)
    return folder


@pytest.fixture(scope="session")
def long_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """More than any run that is stopped comes to the end of before."""
    return walking.film(tmp_path_factory.mktemp("films") / "in.avi", 1200)


@pytest.fixture
def run_script(tmp_path: Path) -> RunScript:
    """Run a script of the repository in another folder, without a display, a home or a terminal.

    `env` adds variables to those of this process. The result has `returncode`, `stdout` and `stderr`.
    """

    def run(
        script: str,
        *words: str | Path,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float = 120,
    ) -> subprocess.CompletedProcess[str]:
        inherited = {name: value for name, value in os.environ.items() if name not in HIDDEN}
        home = {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path), "LOCALAPPDATA": str(tmp_path)}
        return subprocess.run(
            [sys.executable, str(REPOSITORY / script), *map(str, words)],
            cwd=cwd or tmp_path,
            env={**inherited, **home, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=timeout,
        )

    return run


@pytest.fixture(params=["PyAV", "OpenCV"])
def reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What follows holds for both readers of videos; call it after the test has made its input."""

    def chosen() -> None:
        if request.param == "PyAV":
            pytest.importorskip("av")
        else:
            monkeypatch.setitem(sys.modules, "av", None)

    return chosen
