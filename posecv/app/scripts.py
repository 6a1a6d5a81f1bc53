"""The four scripts: from a command line to a run; errors in one line, exit codes.

Exit codes: 0 all done, 1 some inputs failed and the others are done, 2 nothing was done, 130 Ctrl-C, 143 SIGTERM,
141 if nobody reads the output any more (`| head`). Slow
imports happen when they are needed, so that help and error messages appear at once.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from posecv import models, opencv
from posecv.app.options import Parser, camera_parser, hand_parser, multi_parser, parse, single_parser
from posecv.app.spellings import in_flags
from posecv.errors import ModelError, PoseError, UsageError
from posecv.memory import keep_buffers
from posecv.terminal import ends_unread, say, silence_opencv

if TYPE_CHECKING:
    from posecv.app.config import LiveConfig, RunConfig
    from posecv.arrays import Frame
    from posecv.engines.network import Network
    from posecv.estimators import Estimator, Setting
    from posecv.estimators.build import Loaded
    from posecv.geometry import Fit
    from posecv.outputs import Output
    from posecv.outputs.window import Window
    from posecv.result import Result
    from posecv.run.job import Job
    from posecv.skeletons import Skeleton
    from posecv.sources import Source

__all__ = ["check_network", "guarded", "run_hand", "run_multi_pose", "run_pose", "webcam_pose"]

PATIENCE = 3.0  # seconds after a signal in which others are ignored
# Default model -> the model that getModels.sh can fetch instead.
OWN_MODELS = {"light_body": "coco", "light_hand": "hand", "light_face": "face"}


# ------------------------------------------------------------------------------------------------ the four programs


def run_pose(argv: Sequence[str] | None = None, prog: str | None = None, gui: ModuleType | None = None) -> int:
    """Find one person in each image, by the strongest peak of each heatmap.

    `gui` is OpenCV, or a replacement with the same functions for windows.
    """

    def work(options: argparse.Namespace) -> int:
        check_network(options)
        from posecv.app.config import person_config

        return _pictures(person_config(options), gui)

    return guarded(single_parser(prog), argv, work)


def run_multi_pose(
    argv: Sequence[str] | None = None, prog: str | None = None, gui: ModuleType | None = None
) -> int:
    """Find all people in each image, by peaks, part affinity fields and grouping."""

    def work(options: argparse.Namespace) -> int:
        check_network(options)
        from posecv.app.config import many_config

        return _pictures(many_config(options), gui)

    return guarded(multi_parser(prog), argv, work)


def run_hand(argv: Sequence[str] | None = None, prog: str | None = None, gui: ModuleType | None = None) -> int:
    """Find one hand in each image, or in a box of it."""

    def work(options: argparse.Namespace) -> int:
        check_network(options)
        if options.from_body:
            options.body_model = options.body_model or _default("light_body")
        from posecv.app.config import hand_config

        return _pictures(hand_config(options), gui)

    return guarded(hand_parser(prog), argv, work)


def webcam_pose(argv: Sequence[str] | None = None, prog: str | None = None, gui: ModuleType | None = None) -> int:
    """Show the people in front of a camera in a window."""

    def work(options: argparse.Namespace) -> int:
        check_network(options)
        from posecv.app.config import live_config

        return _webcam(live_config(options), gui)

    return guarded(camera_parser(prog), argv, work)


# -------------------------------------------------------------------------------------------------------- the work


@ends_unread
def guarded(parser: Parser, argv: Sequence[str] | None, work: Callable[[argparse.Namespace], int]) -> int:
    """Parse and work; report errors as one line on stderr and an exit code."""
    try:
        options = parse(parser, argv)
        if options.version:
            print(_versions())
            return 0
        keep_buffers()
        with _ended_in_order():
            return work(options)
    except PoseError as error:
        hint = " (--help lists the options)" if isinstance(error, UsageError) else ""
        say(" ".join(f"{parser.prog}: {in_flags(str(error), parser.flags)}{hint}".split()))
        return error.exit_code
    except _Terminated:
        return 128 + signal.SIGTERM
    except KeyboardInterrupt:
        return 130


class _Terminated(KeyboardInterrupt):
    """The program was asked to end, for example before a shutdown."""


@contextmanager
def _ended_in_order() -> Iterator[None]:
    """Let SIGTERM end the work like Ctrl-C, so that open files are finished.

    Only the first signal interrupts the work; more of them in the next moments, which would interrupt its end, do not.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    since: list[float] = []

    def end(number: int, _frame: object) -> None:
        if since and time.monotonic() - since[0] < PATIENCE:
            return
        since[:] = [time.monotonic()]
        raise _Terminated if number == signal.SIGTERM else KeyboardInterrupt

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _versions() -> str:
    """The versions of posecv and its dependencies."""
    opencv.require_opencv()
    import cv2
    import numpy as np

    import posecv

    python = ".".join(map(str, sys.version_info[:3]))
    return f"posecv {posecv.__version__} (OpenCV {cv2.__version__}, NumPy {np.__version__}, Python {python})"


def _pictures(config: RunConfig, gui: ModuleType | None) -> int:
    """Read, estimate and write."""
    from posecv.run import pipeline
    from posecv.sources.find import find_sources

    if not config.inputs or not all(config.inputs):
        raise UsageError("no input: give images, videos, a folder or a quoted pattern with -i")
    no_window = None
    if all(place is None for place in config.places.values()):
        no_window = opencv.why_no_window(gui) if config.show else "--no-show"
        if no_window:
            config = replace(config, places={**config.places, "output": "."})
    size, rate = config.camera_size, config.camera_rate
    sources = find_sources(config.inputs, config.selection, camera_size=size, camera_rate=rate)
    code = pipeline.run(_jobs(config, sources, gui), _Late(config), config.steps, bar=True)
    if no_window and code != 2:
        say(f"no window ({no_window}): the drawn results were saved in this folder")
    return code


class _Late:
    """An estimator that is built when the first frame arrives."""

    def __init__(self, config: RunConfig) -> None:
        self._config = config
        self._built: Estimator | None = None
        self._told_size = self._told_small = False

    @property
    def skeleton(self) -> Skeleton:
        """The skeleton of the built estimator."""
        return self._build().skeleton

    def __call__(self, frame: Frame, before: Result | None = None, **overrides: Setting) -> Result:
        """The result of the built estimator."""
        result = self._build()(frame, before, **overrides)
        if result.view is not None:
            self._tell_size(frame, result.view.fit)
        return result

    def _tell_size(self, frame: Frame, fit: Fit) -> None:
        """Print the size of the first frame's input with -v, and once that people are small in a long frame."""
        if self._config.verbose and not self._told_size:
            say(f"the network's input has {fit.width} x {fit.height} pixels")
        self._told_size = True
        if not self._told_small and (said := _smallness(self._config.net_size, frame, fit)):
            self._told_small = True
            say(said)

    def _build(self) -> Estimator:
        from posecv.estimators.build import above

        if self._built is None:
            config = self._config
            built = config.estimator.build(_loaded(config))
            _check_maps(config, built.skeleton)
            self._built = above(built, config.threshold)
        return self._built


def _smallness(net_size: str | None, frame: Frame, fit: Fit) -> str | None:
    """The line for a long frame, in whose input people are small; None for other frames and for parts of frames."""
    from posecv.geometry import NetSize, limited, narrow

    height, width = frame.shape[:2]
    size = NetSize.parse(net_size or f"-1x{fit.height}")
    if size.of_frame(width, height) != (fit.width, fit.height):
        return None
    if better := limited(size, width, height):
        why = "the longer side of the network's input is limited to 16:9, so people are small in it"
    elif better := narrow(size, width, height):
        why = f"people are small in the network's input of {fit.width} x {fit.height}"
    else:
        return None
    return f"{width} x {height} pixels: {why}; --net-size {better} may find more"


def _check_maps(config: RunConfig, skeleton: Skeleton) -> None:
    """Raise UsageError if a network with that skeleton does not have the requested maps."""
    from posecv.outputs.heatmaps import channels_of

    for item in config.outputs.maps if config.places.get("heatmaps") else ():
        channels_of(item, skeleton)


def _loaded(config: RunConfig) -> Loaded:
    """A function that prints warnings, licences and, with -v, details of each network."""
    notes = [opencv.wheels_note] if config.verbose else []  # of the process, so it comes with the first network alone

    def loaded(network: Network) -> None:
        _check_view(config, network)
        for engine in (network.engine, *([network.crops.boxes.engine] if network.crops else [])):
            if engine.warning:
                say(engine.warning)
        if network.model.use in ("non-commercial", "research"):
            say(f"{network.model.name}: for {network.model.use} use only ({network.model.licence})")
        if config.verbose:
            if notes and (note := notes.pop()()):
                say(note)
            stages = f", {network.model.stages} of its stages" if network.model.stages else ""
            name, engine = f"{network.model.name} ({network.skeleton.name}{stages})", network.engine
            say(f"network {name} runs on {network.device} with {engine.name}")
            if network.engine.note:
                say(network.engine.note)
            if network.crops:
                boxes = network.crops.boxes
                say(f"detector {boxes.model.name} runs on {boxes.device} with {boxes.engine.name}")

    return loaded


def _check_view(config: RunConfig, network: Network) -> None:
    """Raise UsageError for options that need maps of the whole frame, if the network looks at people one at a time."""
    net = config.outputs.scale == "net"
    for given, option in ((config.places.get("heatmaps"), "--heatmaps"), (net, "--keypoint-scale net")):
        if given and network.crops:
            said = f"{option} needs maps of the whole frame, which {network.model.name} does not have"
            raise UsageError(f"{said}; use --model light_body")


def check_network(options: argparse.Namespace) -> None:
    """Check options before anything is read, and fill in the default network."""
    opencv.require_opencv()
    silence_opencv()
    from posecv.app.config import check_sizes

    check_sizes(options)
    if options.prototxt and not options.model:
        raise UsageError(f"-p {options.prototxt} needs its weights too: -m FILE.caffemodel")
    options.own_network = options.model is None
    if options.model is None:
        options.model = _default(options.own_model)


def _default(own_model: str) -> str:
    """The name of a network that comes with posecv; UsageError if it is missing."""
    try:
        return models.find_model(own_model).name
    except ModelError:
        raise UsageError(
            f"no network: {own_model} is missing; give a pair with -p FILE.prototxt -m FILE.caffemodel, or a model "
            f"with --model NAME (./getModels.sh {OWN_MODELS[own_model]} fetches one)"
        ) from None


def _jobs(config: RunConfig, sources: Sequence[Source], gui: ModuleType | None) -> list[Job]:
    """The jobs for the sources, after checking that their files can be written and are not inputs."""
    from posecv.app.plan import plan_outputs
    from posecv.outputs.files import prepare_files
    from posecv.run.job import Job

    plans = plan_outputs(config.places, config.outputs, sources, resume=config.resume)
    if not plans:
        window = _window(config, "posecv: any key for the next image, q to end", gui)
        return [Job(source, (window,)) for source in sources]
    prepare_files([file for plan in plans for file in plan.files], [source.path for source in sources])
    jobs = [Job(source, plan.outputs, plan.told, config.resume) for source, plan in zip(sources, plans, strict=True)]
    left = [job for job, plan in zip(jobs, plans, strict=True) if not (config.resume and plan.is_done())]
    if len(left) < len(jobs):
        say(f"{len(jobs) - len(left)} of {len(jobs)} inputs were already done")
    return left


def _window(config: RunConfig, title: str, gui: ModuleType | None) -> Window:
    import cv2

    from posecv.outputs.window import Window

    return Window(title, config.outputs.style, gui or cv2)


def _webcam(config: LiveConfig, gui: ModuleType | None) -> int:
    """Show the people in front of a camera until the user ends it."""
    opencv.require_packages("imutils")
    from posecv import live

    run = config.run
    source = _camera(run)
    no_window = opencv.why_no_window(gui) if run.show else "--no-show"
    if no_window and run.show and not config.address:
        other = "use --serve 8000 for a web page, or --no-show to only print the frame rate"
        raise UsageError(f"no window ({no_window}); {other}")
    outputs, film = _live_outputs(config, source)
    estimator = config.estimator.build(_loaded(run))
    _check_maps(run, estimator.skeleton)
    can_multi = estimator.everybody is not None
    if config.multi and not can_multi:
        name = estimator.network.model.name
        raise ModelError(f"{name} has no part affinity fields to tell people apart; use --single")
    state = live.State(
        net_size=config.net_size or estimator.network.usual_size,
        single=config.single or not can_multi,
        mirrored=config.mirror,
        recording=film is not None,
    )
    demo = live.Demo(
        source=source,
        estimator=estimator,
        state=state,
        can_multi=can_multi,
        has_maps=estimator.network.crops is None,
        style=run.outputs.style,
        steps=run.steps,
        outputs=outputs,
        film=film,
        codec=run.outputs.codec,
        window=None if no_window else _window(run, "posecv: ? lists the keys", gui),
        address=config.address,
    )
    return live.run(demo)


def _camera(config: RunConfig) -> Source:
    """The camera, or a video or stream in its place."""
    from posecv.sources.find import find_sources
    from posecv.sources.streams import StandardInput

    size, rate = config.camera_size, config.camera_rate
    sources = find_sources(config.inputs, config.selection, camera_size=size, camera_rate=rate)
    source = sources[0] if len(sources) == 1 else None
    if isinstance(source, StandardInput):  # consecutive JPEGs, like a camera
        return replace(source, live=True)
    if source is None or not source.has_frames:
        said = f"-i {config.inputs[0]} is not the number of a camera, a video or an address"
        raise UsageError(f"{said}; use run_multi_pose.py for images and folders")
    return source


def _live_outputs(config: LiveConfig, source: Source) -> tuple[tuple[Output, ...], Path | None]:
    """The outputs for results and the file for the recording, after checking that they can be written."""
    from posecv.app.plan import plan_outputs, recording_file
    from posecv.outputs.files import prepare_files
    from posecv.outputs.films import check_codec

    plans = plan_outputs(config.run.places, config.run.outputs, [source])
    film = None if config.record is None else recording_file(config.record)
    if film:
        check_codec(film, config.run.outputs.codec)
    files = [file for plan in plans for file in plan.files]
    if film in files:
        raise UsageError(f"--record {config.record} is also the file of another option; use a different name")
    prepare_files([*files, *([film] if film else [])], [source.path])
    return tuple(output for plan in plans for output in plan.outputs), film
