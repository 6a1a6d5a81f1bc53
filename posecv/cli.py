"""The four scripts: from options to sources, networks and outputs; errors in one line, exit codes.

Exit codes: 0 all done, 1 some inputs failed and the others are done, 2 nothing could be done as asked, 130 Ctrl-C,
143 SIGTERM.
What takes long to import is imported when it is needed, so that help and mistakes are answered at once.
"""

from __future__ import annotations

import argparse
import functools
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from posecv import models, opencv
from posecv.errors import ModelError, PoseError, UsageError
from posecv.memory import keep_buffers
from posecv.options import (
    PARTS,
    SINGLE_THRESHOLD,
    Parser,
    camera_parser,
    check_hand,
    hand_parser,
    multi_parser,
    parse,
    single_parser,
)
from posecv.skeletons import maximized
from posecv.terminal import say, silence_opencv

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from posecv.live.session import Find
    from posecv.network import Network
    from posecv.outputs import Output
    from posecv.outputs.style import Style
    from posecv.outputs.window import Window
    from posecv.people import People
    from posecv.pipeline import Job
    from posecv.sources import Source

    Frame = NDArray[np.uint8]
    Estimate = Callable[..., People]  # of a frame, seconds to be filled in, and settings that hold this time
    Method = Callable[[Network, argparse.Namespace], Estimate]
    AddParts = Callable[[Frame, People, dict[str, float]], People]

__all__ = ["run_hand", "run_multi_pose", "run_pose", "webcam_pose"]

# Run by default -> what getModels.sh fetches in their place.
OWN_MODELS = {"light_body": "coco", "light_hand": "hand", "light_face": "face"}


# ------------------------------------------------------------------------------------------------ the four programs


def run_pose(argv: Sequence[str] | None = None) -> int:
    """One person in each picture, by the strongest peak of each heatmap."""
    return _guarded(single_parser(), argv, lambda options: _pictures(options, _one_person))


def run_multi_pose(argv: Sequence[str] | None = None) -> int:
    """All people in each picture, by peaks, part affinity fields and grouping."""
    return _guarded(multi_parser(), argv, lambda options: _pictures(options, _many_people))


def run_hand(argv: Sequence[str] | None = None) -> int:
    """One hand in each picture, or in a box of it."""

    def work(options: argparse.Namespace) -> int:
        check_hand(options)
        return _pictures(options, _hand)

    return _guarded(hand_parser(), argv, work)


def webcam_pose(argv: Sequence[str] | None = None) -> int:
    """The people before a camera, in a window."""
    return _guarded(camera_parser(), argv, _webcam)


# -------------------------------------------------------------------------------------------------------- the work


def _guarded(parser: Parser, argv: Sequence[str] | None, work: Callable[[argparse.Namespace], int]) -> int:
    """Parse, work, and turn what went wrong into one line on stderr and an exit code."""
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
        print(" ".join(f"{parser.prog}: {error}{hint}".split()), file=sys.stderr)
        return error.exit_code
    except _Terminated:
        return 128 + signal.SIGTERM
    except KeyboardInterrupt:
        return 130


class _Terminated(KeyboardInterrupt):
    """Somebody asked the program to end, as systems do before they turn off."""


@contextmanager
def _ended_in_order() -> Iterator[None]:
    """Let SIGTERM end the work as Ctrl-C does: what was begun is finished."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(_number: int, _frame: object) -> None:
        raise _Terminated

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _versions() -> str:
    """posecv's version and those of what it stands on."""
    opencv.require_opencv()
    import cv2
    import numpy as np

    import posecv

    python = ".".join(map(str, sys.version_info[:3]))
    return f"posecv {posecv.__version__} (OpenCV {cv2.__version__}, NumPy {np.__version__}, Python {python})"


def _pictures(options: argparse.Namespace, method: Method) -> int:
    """Read, estimate and write all pictures that the options name."""
    opencv.require_opencv()
    silence_opencv()
    from posecv import pipeline
    from posecv.sources.find import find_sources
    from posecv.sources.selection import Selection

    if not options.input or not all(options.input):
        raise UsageError("no input: name pictures, films, a folder or a quoted pattern with -i")
    last = None if options.last == -1 else options.last  # OpenPose's way to say: all
    selection = Selection(options.first, last, options.step, options.flip, options.rotate)
    _check_network(options)
    no_window = None
    files = options.output, options.json, options.csv, options.coco_json, options.heatmaps
    if all(where is None for where in files):
        no_window = "--no-show" if options.no_show else opencv.why_no_window()
        options.output = "." if no_window else None
    sources = find_sources(options.input, selection, camera_size=options.camera_size, camera_rate=options.camera_fps)
    jobs = _jobs(options, sources)
    wants_view = options.heatmaps is not None or options.keypoint_scale == "net"

    @functools.cache
    def estimate() -> Estimate:  # loaded for the first picture that can be read
        network = _network(options)
        _check_heatmaps(network, options)
        return method(network, options)

    def found(frame: Frame, seconds: dict[str, float]) -> People:
        people = estimate()(frame, seconds)
        if not wants_view:
            people = replace(people, view=None)  # the maps are larger than the frame, and several wait to be written
        return people if options.threshold is None else people.above(options.threshold)

    code = pipeline.run(jobs, found, bar=True)
    if no_window and code != 2:
        print(f"no window ({no_window}): what is drawn was saved in this folder", file=sys.stderr)
    return code


def _check_network(options: argparse.Namespace) -> None:
    """Find out what can be known to be wrong before anything is read, and which network runs where none is named."""
    from posecv.geometry import NetSize

    for name in ("net_size", "hand_net_size", "face_net_size"):
        if size := getattr(options, name, None):
            NetSize.parse(size, f"--{name.replace('_', '-')}")
    if options.prototxt and not options.model:
        raise UsageError(f"-p {options.prototxt} needs its weights too: -m FILE.caffemodel")
    if options.model is None:
        options.model = _default(options.own_model)


def _check_heatmaps(network: Network, options: argparse.Namespace) -> None:
    """UsageError where the network has no such maps as are asked for."""
    from posecv.outputs.heatmaps import channels_of

    for item in options.heatmaps_of if options.heatmaps else ():
        channels_of(item, network.skeleton)


def _default(own_model: str) -> str:
    """The name of a network that comes with posecv, if it is there."""
    try:
        return models.find_model(own_model).name
    except ModelError:
        raise UsageError(
            f"no network: {own_model} is not here; name a pair with -p FILE.prototxt -m FILE.caffemodel, or a model "
            f"with --model NAME (./getModels.sh {OWN_MODELS[own_model]} fetches one)"
        ) from None


def _network(options: argparse.Namespace) -> Network:
    """The network that the options name."""
    from posecv.network import load_network

    pair = (options.prototxt, options.model) if options.prototxt else (options.model, None)
    names = "skeleton", "device", "engine", "net_size", "stages", "scale", "mean", "swap_rb"
    network = load_network(*pair, **{name: getattr(options, name) for name in names})
    if network.engine.warning:
        say(network.engine.warning)
    if network.model.use in ("non-commercial", "research"):
        say(f"{network.model.name}: {network.model.use} use only ({network.model.licence})")
    if options.verbose:
        stages = f", {network.model.stages} of its stages" if network.model.stages else ""
        name, engine = f"{network.model.name} ({network.skeleton.name}{stages})", network.engine
        say(f"network {name} runs on {network.device} with {engine.name}")
        if network.engine.note:
            say(network.engine.note)
    return network


def _one_person(network: Network, options: argparse.Namespace) -> Estimate:
    from posecv.estimate import estimate_person

    threshold = 0.0 if network.skeleton.name in ("hand", "face") else SINGLE_THRESHOLD  # these are written whole
    settings = _settings(options) | {"threshold": threshold if options.threshold is None else options.threshold}
    estimate = _viewed(estimate_person)
    return lambda frame, seconds, **now: estimate(network, frame, seconds=seconds, **(settings | now))


def _many_people(network: Network, options: argparse.Namespace, add_parts: AddParts | None = None) -> Estimate:
    from posecv.estimate import estimate_people

    if not network.has_fields:
        alone = "run_hand.py" if network.skeleton.name == "hand" else "run_pose.py"
        raise UsageError(f"{network.model.name} has no part affinity fields to tell people apart by; use {alone}")
    settings = _settings(options)
    if getattr(options, "maximize_positives", False):
        settings |= maximized(network.model.thresholds)
    add = add_parts or _parts(options)
    viewed = _viewed(estimate_people)

    def estimate(frame: Frame, seconds: dict[str, float], **now: Any) -> People:
        people = viewed(network, frame, seconds=seconds, **(settings | now))
        return add(frame, people[: _most(options)], seconds)

    return estimate


def _most(options: argparse.Namespace) -> int | None:
    """How many people are kept; None for all."""
    return options.number_people_max if options.number_people_max and options.number_people_max > 0 else None


def _viewed(estimate: Callable[..., People]) -> Callable[..., People]:
    """An estimate whose people carry the maps that they were found in, for the outputs that want them."""
    from posecv.people import View

    def estimate_and_keep(*given: Any, **settings: Any) -> People:
        views: list[View] = []
        people = estimate(*given, look=lambda maps, fit: views.append(View(maps, fit)), **settings)
        return replace(people, view=views[0])

    return estimate_and_keep


def _parts(options: argparse.Namespace) -> AddParts:
    """Adds the hands and faces that the options ask for."""
    from posecv.estimate import estimate_faces, estimate_hands

    estimates = {"hand": estimate_hands, "face": estimate_faces}
    wanted = [part for part in PARTS if getattr(options, part, False)]
    networks = {part: _part_network(options, part) for part in wanted}
    settings = {part: _hand_settings(options, getattr(options, f"{part}_net_size")) for part in wanted}

    def add(frame: Frame, people: People, seconds: dict[str, float]) -> People:
        for part, network in networks.items():
            people = estimates[part](network, frame, people, seconds=seconds, **settings[part])
        return people

    return add


def _part_network(options: argparse.Namespace, part: str) -> Network:
    """The network for hands or faces."""
    name = getattr(options, f"{part}_model")
    network = _further_network(options, name)
    if network.skeleton.name != part:
        raise UsageError(f"--{part}-model {name} is a network for {network.skeleton.name}, not for {part}s")
    return network


def _further_network(options: argparse.Namespace, name: str) -> Network:
    """A network besides the one of -p and -m: a model's name, or prototxt and caffemodel with a comma between."""
    prototxt, _, caffemodel = name.partition(",")
    pair = argparse.Namespace(**vars(options))
    pair.prototxt, pair.model = (prototxt, caffemodel) if caffemodel else (None, name)
    pair.skeleton = pair.net_size = pair.stages = pair.scale = pair.mean = pair.swap_rb = None
    return _network(pair)


def _hand(network: Network, options: argparse.Namespace) -> Estimate:
    from posecv.estimate import estimate_hand

    if network.skeleton.name != "hand":
        raise UsageError(f"{network.model.name} is a network for {network.skeleton.name}, not for hands")
    settings = _hand_settings(options, options.net_size)
    if options.from_body:
        return _hands_of_bodies(network, options, settings)
    estimate = _viewed(estimate_hand)
    return lambda frame, seconds: estimate(network, frame, options.box, options.left, seconds=seconds, **settings)


def _hands_of_bodies(network: Network, options: argparse.Namespace, settings: dict[str, Any]) -> Estimate:
    """Finds people first and their hands where their arms end."""
    from posecv.estimate import estimate_hands, estimate_people

    name = options.body_model or _default("light_body")
    bodies = _further_network(options, name)
    if not bodies.has_fields:
        raise UsageError(f"--body-model {name} is no network that tells people apart; it finds no arms")

    viewed = _viewed(estimate_people)

    def estimate(frame: Frame, seconds: dict[str, float]) -> People:
        people = viewed(bodies, frame, seconds=seconds)[: _most(options)]
        return estimate_hands(network, frame, people, seconds=seconds, **settings).only_hands()

    return estimate


def _settings(options: argparse.Namespace) -> dict[str, Any]:
    """What an estimate of bodies is told by the options that were given."""
    names = "net_size", "scale_number", "scale_gap"
    given = {name: getattr(options, name, None) for name in names}
    return {name: value for name, value in given.items() if value is not None}


def _hand_settings(options: argparse.Namespace, net_size: str | None) -> dict[str, Any]:
    """What an estimate of hands or faces is told."""
    given = {
        "net_size": net_size,
        "scale_number": options.hand_scales,
        "scale_range": options.hand_range,
        "merge": options.hand_merge,
    }
    return {name: value for name, value in given.items() if value is not None}


def _jobs(options: argparse.Namespace, sources: Sequence[Source]) -> list[Job]:
    """What is to be made of each source. Its files can be written, and none of them is an input."""
    from posecv.outputs.files import prepare_files
    from posecv.outputs.plan import plan_outputs
    from posecv.pipeline import Job

    plans = plan_outputs(options, sources, _style(options))
    if not plans:
        window = _window(options, "posecv: any key for the next picture, q to end")
        return [Job(source, (window,)) for source in sources]
    prepare_files([file for plan in plans for file in plan.files], [source.path for source in sources])
    jobs = [Job(source, plan.outputs, plan.told, options.resume) for source, plan in zip(sources, plans, strict=True)]
    left = [job for job, plan in zip(jobs, plans, strict=True) if not (options.resume and plan.is_done())]
    if len(left) < len(jobs):
        say(f"{len(jobs) - len(left)} of {len(jobs)} inputs were done before")
    return left


def _style(options: argparse.Namespace) -> Style:
    """How people are shown."""
    from posecv.outputs.rate import Rate
    from posecv.outputs.style import Style

    given = {"threshold": options.threshold, "alpha": options.alpha, "render": options.render, "labels": options.labels}
    given["rate"] = Rate() if getattr(options, "show_fps", False) else None
    return Style(**{name: value for name, value in given.items() if value is not None})


def _window(options: argparse.Namespace, title: str) -> Window:
    from posecv.outputs.window import Window

    return Window(title, _style(options))


def _webcam(options: argparse.Namespace) -> int:
    """Show a camera's people until somebody has seen enough."""
    opencv.require_opencv()
    silence_opencv()
    from posecv import live

    _check_network(options)
    source = _camera(options)
    no_window = "--no-show" if options.no_show else opencv.why_no_window()
    if no_window and not (options.no_show or options.serve):
        other = "--serve 8000 shows the picture on a web page, --no-show tells the frame rate without one"
        raise UsageError(f"no window ({no_window}); {other}")
    outputs, film = _live_outputs(options, source)
    network = _network(options)
    _check_heatmaps(network, options)
    find, can_multi = _find(network, options)
    state = live.State(
        net_size=options.net_size or f"-1x{network.model.net_side}",
        single=options.single or not can_multi,
        mirrored=options.mirror,
        recording=film is not None,
    )
    demo = live.Demo(
        source=source,
        find=find,
        skeleton=network.skeleton,
        state=state,
        can_multi=can_multi,
        style=_style(options),
        outputs=outputs,
        film=film,
        codec=options.codec,
        window=None if no_window else _window(options, "posecv: ? shows the keys"),
        address=options.serve,
    )
    return live.run(demo)


def _camera(options: argparse.Namespace) -> Source:
    """The camera that the options name: a film or a stream serves as well."""
    from posecv.sources.find import find_sources
    from posecv.sources.pictures import Picture
    from posecv.sources.selection import Selection
    from posecv.sources.streams import StandardInput

    asked = {"camera_size": options.camera_size, "camera_rate": options.camera_fps}
    sources = find_sources([options.input], Selection(), **asked)
    if len(sources) != 1 or isinstance(sources[0], Picture):
        said = f"-i {options.input} is no camera's number, film or address"
        raise UsageError(f"{said}; pictures and folders are for run_multi_pose.py")
    return replace(sources[0], live=True) if isinstance(sources[0], StandardInput) else sources[0]


def _live_outputs(options: argparse.Namespace, source: Source) -> tuple[tuple[Output, ...], Path | None]:
    """Outputs for what the network sees, and the film for what is shown, all of which can be written."""
    from posecv.outputs.files import prepare_files
    from posecv.outputs.films import check_codec
    from posecv.outputs.plan import plan_outputs, recording_file

    plans = plan_outputs(options, [source], _style(options))
    film = None if options.record is None else recording_file(options.record)
    if film:
        check_codec(film, options.codec)
    files = [file for plan in plans for file in plan.files]
    if film in files:
        raise UsageError(f"--record {options.record} is what another option writes; give it a name of its own")
    prepare_files([*files, *([film] if film else [])], [source.path])
    return tuple(output for plan in plans for output in plan.outputs), film


def _find(network: Network, options: argparse.Namespace) -> tuple[Find, bool]:
    """Finds one person or everybody, as it is told each time; and whether it can find everybody."""
    add_parts = _parts(options)
    one = _one_person(network, options)
    many = _many_people(network, options, add_parts) if network.has_fields or options.multi else None

    def find(frame: Frame, *, single: bool, net_size: str) -> People:
        if single or many is None:
            people = add_parts(frame, one(frame, {}, net_size=net_size), {})
        else:
            people = many(frame, {}, net_size=net_size)
        return people if options.threshold is None else people.above(options.threshold)

    return find, many is not None
