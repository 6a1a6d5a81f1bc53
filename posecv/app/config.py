"""Parsed command lines as plain values: frozen and picklable."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from posecv.drawing.rate import Rate
from posecv.drawing.style import Style
from posecv.errors import UsageError
from posecv.estimators.build import (
    Bodies,
    Either,
    Hand,
    HandsAlong,
    NetworkChoice,
    Part,
    Person,
    SeveralHands,
    Within,
    read_mask,
)
from posecv.geometry import NetSize
from posecv.outputs.coordinates import SCALES, SOURCE
from posecv.outputs.kinds import KINDS, OutputSettings
from posecv.sources.selection import Selection
from posecv.steps import MakeStep
from posecv.steps.ids import MakeIds
from posecv.steps.smooth import MakeSmooth

__all__ = ["LiveConfig", "RunConfig", "hand_config", "live_config", "many_config", "person_config"]

PARTS = "hand", "face"
Build = Person | Bodies | Hand | SeveralHands | HandsAlong | Within


@dataclass(frozen=True)
class RunConfig:
    """A run over images, videos and cameras.

    Attributes
    ----------
    inputs : tuple of str
        The values of `--input`.
    estimator : Person, Bodies, Hand or HandsAlong
        What to find, and how.
    places : mapping of str to str or None
        Where each kind of output goes.
    outputs : OutputSettings
        Settings of the outputs.
    selection : Selection
        Which frames to use, and how to rotate and flip them.
    camera_size, camera_rate
        The frame size and rate to request from cameras.
    threshold : float or None
        Keypoints that score this or less are removed.
    resume : bool
        Whether to skip what an earlier run has done.
    show : bool
        Whether a window may open.
    verbose : bool
        Whether to print which network runs where.
    steps : tuple of callable
        Create the steps that process each result.
    net_size : str or None
        The value of `--net-size`.
    """

    inputs: tuple[str, ...]
    estimator: Build
    places: Mapping[str, str | None] = field(default_factory=dict)
    outputs: OutputSettings = field(default_factory=OutputSettings)
    selection: Selection = field(default_factory=Selection)
    camera_size: tuple[int, int] | None = None
    camera_rate: float | None = None
    threshold: float | None = None
    resume: bool = False
    show: bool = True
    verbose: bool = False
    steps: tuple[MakeStep, ...] = ()
    net_size: str | None = None


@dataclass(frozen=True)
class LiveConfig:
    """The live demo.

    Attributes
    ----------
    run : RunConfig
        Its only input is the camera.
    estimator : Either
        What to find, and how.
    net_size : str or None
        The initial size of the network's input.
    single, mirror : bool
        Whether to start with one person; whether to show a mirror image.
    multi : bool
        Whether to refuse a network that cannot find everybody.
    record : str or None
        The video file to record.
    address : (str, int) or None
        Host and port of the web page.
    """

    run: RunConfig
    estimator: Either
    net_size: str | None = None
    single: bool = False
    multi: bool = False
    mirror: bool = False
    record: str | None = None
    address: tuple[str, int] | None = None


def person_config(options: Namespace) -> RunConfig:
    """The configuration of run_pose.py."""
    scale = _given(options, "net_size", "scale_number", "scale_gap")
    every = options.detector_every
    best = options.own_network if options.best is None else options.best
    person = Person(_network(options), threshold=options.threshold, every=every, best=best, **scale)
    return _run(options, _within(options, person))


def many_config(options: Namespace) -> RunConfig:
    """The configuration of run_multi_pose.py."""
    return _run(options, _within(options, _bodies(options)))


def hand_config(options: Namespace) -> RunConfig:
    """The configuration of run_hand.py; the body network is in `body_model`."""
    settings = _hand_settings(options)
    if not options.from_body:
        hand = Hand(_network(options), left=options.left, net_size=options.net_size, **settings)
        places = tuple((box, options.left if left is None else left) for box, left in options.box or ())
        if len(places) > 1:
            return _run(options, SeveralHands(hand, places))
        return _run(options, replace(hand, box=places[0][0], left=places[0][1]) if places else hand)
    bodies = Bodies(_further(options, options.body_model), most=_most(options))
    return _run(options, HandsAlong(bodies, Part("hand", _network(options), options.net_size, **settings)))


def live_config(options: Namespace) -> LiveConfig:
    """The configuration of webcam_pose.py."""
    options.input = [options.input]
    bodies = _bodies(options)
    return LiveConfig(
        run=_run(options, bodies),
        estimator=Either(bodies, options.threshold),
        net_size=options.net_size,
        single=options.single,
        multi=options.multi,
        mirror=options.mirror,
        record=options.record,
        address=options.serve,
    )


def _within(options: Namespace, people: Person | Bodies) -> Build:
    """The configuration, limited to a part of the frame if there is one; UsageError if a mask cannot be read."""
    if options.mask:
        read_mask(options.mask)
    return Within(people, options.box, options.mask) if options.box or options.mask else people


def _run(options: Namespace, estimator: Build) -> RunConfig:
    last = None if getattr(options, "last", -1) == -1 else options.last  # OpenPose's value for all
    frames = {name: getattr(options, name) for name in ("first", "step", "flip", "rotate") if hasattr(options, name)}
    return RunConfig(
        inputs=tuple(options.input or ()),
        estimator=estimator,
        places={kind.name: getattr(options, kind.name, None) for kind in KINDS},
        outputs=_outputs(options),
        selection=Selection(last=last, **frames),
        camera_size=options.camera_size,
        camera_rate=options.camera_fps,
        threshold=options.threshold,
        resume=options.resume,
        show=not options.no_show,
        verbose=options.verbose,
        steps=_steps(options),
        net_size=options.net_size,
    )


def _steps(options: Namespace) -> tuple[MakeStep, ...]:
    """The steps over time; UsageError for an option that has no effect."""
    memory = getattr(options, "track_memory", None)
    smooth = {"still": "smooth_still", "follow": "smooth_follow"}
    values = {name: getattr(options, option, None) for name, option in smooth.items()}
    given: dict[str, float] = {name: value for name, value in values.items() if value is not None}
    if given and not options.smooth:
        name, value = next(iter(given.items()))
        raise UsageError(f"{smooth[name]}={value:g} is for smooth motion; add --smooth")
    smoothing: tuple[MakeStep, ...] = (MakeSmooth(**given),) if getattr(options, "smooth", False) else ()
    if not smoothing and not getattr(options, "track", False):
        if memory is not None:
            raise UsageError(f"track_memory={memory:g} is for people with ids; add --track")
        return ()
    return (MakeIds() if memory is None else MakeIds(memory), *smoothing)


def _outputs(options: Namespace) -> OutputSettings:
    given = _given(options, "threshold", "alpha", "render", "labels", "colors")
    rate = Rate() if getattr(options, "show_fps", False) else None
    in_source = options.keypoint_scale == SOURCE
    turned = {name: getattr(options, name) for name in ("rotate", "flip") if in_source and hasattr(options, name)}
    return OutputSettings(
        Style(**given, rate=rate),
        options.codec,
        SCALES[0] if in_source else options.keypoint_scale,
        tuple(options.heatmaps_of),
        options.json_form,
        options.json_layout == "folders",
        options.csv_form,
        options.coco_annotations,
        getattr(options, "rate", None),
        **turned,
    )


def _bodies(options: Namespace) -> Bodies:
    return Bodies(
        _network(options),
        maximize_positives=getattr(options, "maximize_positives", False),
        most=_most(options),
        every=options.detector_every,
        parts=tuple(_part(options, kind) for kind in PARTS if getattr(options, kind)),
        **_given(options, "net_size", "scale_number", "scale_gap"),
        **_given(options, "person_threshold", "person_keypoints", "person_height"),
    )


def _part(options: Namespace, kind: str) -> Part:
    size = getattr(options, f"{kind}_net_size")
    return Part(kind, _further(options, getattr(options, f"{kind}_model")), size, **_hand_settings(options))


def _network(options: Namespace) -> NetworkChoice:
    """The network of -p and -m."""
    names = "skeleton", "device", "engine", "net_size", "stages", "scale", "mean", "swap_rb"
    detector = "detector", "detector_scale", "detector_mean", "detector_swap_rb"
    prototxt, caffemodel = (options.prototxt, options.model) if options.prototxt else _pair(options.model)
    return NetworkChoice(prototxt, caffemodel, **_given(options, *names, *detector))


def _further(options: Namespace, name: str) -> NetworkChoice:
    """A network in addition to -p and -m: a model's name, or prototxt and caffemodel separated by a comma."""
    return NetworkChoice(*_pair(name), device=options.device, engine=options.engine)


def _pair(name: str) -> tuple[str, str | None]:
    """A model's name or an ONNX file; or prototxt and caffemodel, which a comma separates."""
    prototxt, _, caffemodel = name.partition(",")
    return prototxt, caffemodel or None


def _most(options: Namespace) -> int | None:
    """The maximum number of people; None for all."""
    most = options.number_people_max
    return most if most and most > 0 else None


def _hand_settings(options: Namespace) -> dict[str, Any]:
    names = {"scale_number": "hand_scales", "scale_range": "hand_range", "merge": "hand_merge"}
    given = {name: getattr(options, option) for name, option in names.items()}
    return {name: value for name, value in given.items() if value is not None}


def _given(options: Namespace, *names: str) -> dict[str, Any]:
    """The options with a value, by name."""
    values = {name: getattr(options, name, None) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def check_sizes(options: Namespace) -> None:
    """Raise UsageError for an invalid input size."""
    for name in ("net_size", "hand_net_size", "face_net_size"):
        if size := getattr(options, name, None):
            try:
                NetSize.parse(size)
            except UsageError as error:
                raise UsageError(str(error).replace("net_size=", f"{name}=")) from None
    if (every := getattr(options, "detector_every", 1)) < 1:
        raise UsageError(f"detector_every={every}: give 1 for every frame, 2 for every second one, ...")
