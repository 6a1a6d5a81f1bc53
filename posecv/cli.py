"""The command lines of the four scripts: options that are spelt the same everywhere, errors in one line, exit codes.

Exit codes: 0 all done, 1 some inputs failed and the others are done, 2 nothing could be done as asked, 130 Ctrl-C.
What takes long to import is imported when it is needed, so that help and mistakes are answered at once.
"""

from __future__ import annotations

import argparse
import difflib
import functools
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from posecv import models, opencv
from posecv.errors import ModelError, PoseError, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from posecv.network import Network
    from posecv.outputs.window import Window
    from posecv.people import People
    from posecv.pipeline import Job

    Frame = NDArray[np.uint8]
    Estimate = Callable[[Frame, dict[str, float]], People]
    Method = Callable[[Network, argparse.Namespace], Estimate]

T = TypeVar("T")

__all__ = ["run_hand", "run_multi_pose", "run_pose", "webcam_pose"]

DEVICES = ("auto", "cpu", "cuda", "cuda-fp16", "opencl")
ENGINES = ("auto", "opencv", "opencv-thin", "openvino", "openvino-float32", "onnxruntime")
SINGLE_THRESHOLD = 0.1  # of run_pose.py, as in the tutorials
OWN_MODELS = {"light_body": "coco", "light_hand": "hand"}  # run by default: what getModels.sh fetches in their place

# Spellings of widely copied programs (OpenPose, OpenCV's sample, LearnOpenCV) that mean the same.
ALIASES = {
    "--proto": "--prototxt",
    "--prototxt-path": "--prototxt",
    "--caffemodel-path": "--model",
    "--model-pose": "--model",
    "--imgpath": "--input",
    "--image": "--input",
    "--image-file": "--input",
    "--image-dir": "--input",
    "--write-images": "--output",
    "--write-json": "--json",
    "--write-keypoint-json": "--json",
    "--net-resolution": "--net-size",
    "--hand-net-resolution": "--net-size",
    "--thr": "--threshold",
    "--dataset": "--skeleton",
    "--alpha-pose": "--alpha",
    "--no-display": "--no-show",
}
ELSEWHERE = {
    "--video": "films are not read yet",
    "--video-file": "films are not read yet",
    "--write-video": "films are not written yet",
    "--camera": "webcam_pose.py shows a camera: -i N",
    "--resize": "it would stretch the picture; --net-size WxH keeps its aspect ratio",
    "--hand": "run_hand.py finds hands",
    "--face": "faces are not found along with bodies yet",
    "--render-pose": "what is drawn goes where -o says, and without -o to a window",
    "--model-folder": "POSECV_MODELS names the folder of models",
    **dict.fromkeys(("--scale-number", "--scale-gap"), "one scale is looked at; a larger --net-size finds more"),
    **dict.fromkeys(("-o", "--output", "--json"), "a camera is shown and not recorded yet"),
}


# ------------------------------------------------------------------------------------------------ the four programs


def run_pose(argv: Sequence[str] | None = None) -> int:
    """One person in each picture, by the strongest peak of each heatmap."""
    parser = _picture_parser("Find the keypoints of one person in each picture.", threshold=f"{SINGLE_THRESHOLD}")
    return _guarded(parser, argv, lambda options: _pictures(options, _one_person))


def run_multi_pose(argv: Sequence[str] | None = None) -> int:
    """All people in each picture, by peaks, part affinity fields and grouping."""
    parser = _picture_parser("Find the keypoints of everybody in each picture.")
    return _guarded(parser, argv, lambda options: _pictures(options, _many_people))


def run_hand(argv: Sequence[str] | None = None) -> int:
    """One hand in each picture, or in a box of it."""
    parser = _picture_parser(
        "Find the 21 keypoints of one hand in each picture.",
        net_size="-1x192, for a --box 192x192; 368 with other networks than light_hand",
        threshold="all are written, those above 0.2 drawn",
        own_model="light_hand",
    )
    hand = parser.add_argument_group("hand")
    hand.add_argument("--box", type=_box, metavar="X,Y,W,H", help="where the hand is, in pixels (default: anywhere)")
    hand.add_argument("--left", action="store_true", help="it is a left hand")
    return _guarded(parser, argv, lambda options: _pictures(options, _hand))


def webcam_pose(argv: Sequence[str] | None = None) -> int:
    """The people before a camera, in a window."""
    description = "Show the people before a camera. q, Escape, the window's close button or Ctrl-C ends it."
    parser = _Parser(description=description, allow_abbrev=False)
    parser.add_argument("-i", "--input", type=_camera, default=0, metavar="N", help="number of the camera (default 0)")
    people = parser.add_mutually_exclusive_group()
    people.add_argument("--multi", action="store_true", help="everybody (default where the network can)")
    people.add_argument("--single", action="store_true", help="one person, which is faster")
    no_show = "no window: tell the frame rate each second"
    _add_shared(parser, no_show=no_show, net_size="-1x368", threshold="the model's own", own_model="light_body")
    return _guarded(parser, argv, _webcam)


# ------------------------------------------------------------------------------------------------------ the options


class _Parser(argparse.ArgumentParser):
    """Tells about mistakes by raising, as everything else here does."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(re.sub(r"^argument ", "", message))


def _picture_parser(
    description: str,
    *,
    net_size: str = "-1x368",
    threshold: str = "the model's own",
    own_model: str = "light_body",
) -> _Parser:
    """The options of the scripts that read pictures; the defaults are told in words."""
    parser = _Parser(description=description, allow_abbrev=False)
    parser.add_argument(
        "-i", "--input", nargs="+", action="extend", metavar="PICTURE", help="pictures, folders or quoted patterns"
    )
    parser.add_argument(
        "-o", "--output", metavar="PATH", help="drawn pictures: a file such as out.png, or a folder for NAME_pose.png"
    )
    parser.add_argument(
        "--json", metavar="PATH", help="OpenPose's JSON: a .json file, or a folder for NAME_keypoints.json"
    )
    no_show = "no window: save NAME_pose.png in this folder if there is no -o or --json"
    _add_shared(parser, no_show=no_show, net_size=net_size, threshold=threshold, own_model=own_model)
    return parser


def _add_shared(parser: _Parser, *, no_show: str, net_size: str, threshold: str, own_model: str) -> None:
    """The options that all four scripts have."""
    network = parser.add_argument_group("network")
    network.add_argument("-p", "--prototxt", metavar="FILE", help="the network")
    network.add_argument(
        "-m",
        "--model",
        metavar="FILE|NAME",
        help=f"its weights (.caffemodel); or alone an ONNX file, or a model's name: coco, ... (default: {own_model})",
    )
    network.add_argument("--skeleton", metavar="NAME", help="coco, mpi, body_25, ...; only where it is not recognised")
    network.add_argument("--scale", type=_number, help="factor of pixel values, for a pair that is not known (1/256)")
    network.add_argument("--mean", type=_mean, help="taken from pixel values before: one number or B,G,R (128)")
    network.add_argument("--swap-rb", action="store_true", default=None, help="the network wants RGB instead of BGR")
    network.add_argument(
        "--device", type=_device, default="auto", metavar="DEVICE", help=f"{', '.join(DEVICES)} (gpu: cuda)"
    )
    network.add_argument(
        "--engine", choices=ENGINES, default="auto", help="what runs it; auto: the fastest that is installed"
    )
    network.add_argument(
        "--net-size",
        metavar="SIZE",
        help=f"of its input: 368x-1, WxH, or N for the shorter side (default: {net_size})",
    )
    network.add_argument("--width", type=int, help=argparse.SUPPRESS)  # --net-size in the words of OpenCV's sample
    network.add_argument("--height", type=int, help=argparse.SUPPRESS)
    result = parser.add_argument_group("result")
    result.add_argument(
        "--threshold",
        type=_number,
        metavar="T",
        help=f"leave out keypoints scoring T or less (default: {threshold})",
    )
    result.add_argument("--alpha", type=_share, metavar="A", help="opacity of what is drawn, 0 to 1 (default 0.8)")
    result.add_argument("--no-show", action="store_true", help=no_show)
    result.add_argument("--display", type=int, help=argparse.SUPPRESS)  # OpenPose's; 0 is --no-show
    parser.add_argument("-v", "--verbose", action="store_true", help="tell which network runs on which device")
    parser.set_defaults(own_model=own_model)
    parser.add_argument("--version", action="store_true", help="tell the versions and end")
    known = [f"{alias} ({option})" for alias, option in ALIASES.items() if option in parser._option_string_actions]
    parser.epilog = (
        "Exit codes: 0 all done, 1 some inputs failed, 2 nothing could be done as asked, 130 Ctrl-C. "
        f"Underscores serve as well as dashes. Also understood: {', '.join(known)}."
    )


def _option(parse: Callable[[str], T], text: str) -> T:
    """The value of an option, as a column of the manifest reads it."""
    try:
        return parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is {error}") from None


_number = functools.partial(_option, models.read_number)


def _mean(text: str) -> tuple[float, float, float]:
    return _option(models.read_mean, text.strip("()[] "))


def _share(text: str) -> float:
    value = _number(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


def _box(text: str) -> tuple[float, float, float, float]:
    try:
        values = [models.read_number(part) for part in text.strip("()[] ").split(",")]
    except ValueError:
        values = []
    if len(values) != 4 or min(values[2:]) <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not x,y,width,height in pixels, such as 100,80,200,200")
    x, y, width, height = values
    return x, y, width, height


def _device(text: str) -> str:
    device = {"gpu": "cuda"}.get(text.lower(), text.lower().replace("_", "-"))
    if device not in DEVICES:
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(DEVICES)}")
    return device


def _camera(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not the number of a camera; pictures are for run_multi_pose.py")
    return int(text)


def _normalised(words: Iterable[str]) -> list[str]:
    """The command line in this program's own spelling, values that begin with a dash tied to their option."""
    words = list(words)
    end = words.index("--") if "--" in words else len(words)
    result: list[str] = []
    for word in words[:end]:
        if word.startswith("--"):
            name, equals, value = word.partition("=")
            name = name.replace("_", "-")
            result.append(ALIASES.get(name, name) + equals + value)
        elif re.match(r"-[\d.]+[x,]", word) and result and re.fullmatch(r"--[a-z-]+", result[-1]):
            result[-1] += f"={word}"  # argparse takes -1x368 for an option
        else:
            result.append(word)
    return result + words[end:]


def _parse(parser: _Parser, argv: Sequence[str] | None) -> argparse.Namespace:
    """Options from the command line; UsageError with the nearest names for one that is unknown."""
    options, unknown = parser.parse_known_args(_normalised(sys.argv[1:] if argv is None else argv))
    for word in unknown:
        name = word.partition("=")[0]
        if not word.startswith("-") or word == "--":
            raise UsageError(f"{word!r} belongs to no option; pictures are given with -i")
        if name in ELSEWHERE:
            raise UsageError(f"{name} is not an option here: {ELSEWHERE[name]}")
        known = [*parser._option_string_actions, *ALIASES]
        nearest = difflib.get_close_matches(name, known, n=2, cutoff=0.7)
        raise UsageError(f"unknown option {name}" + (f"; did you mean {' or '.join(nearest)}?" if nearest else ""))
    options.no_show |= options.display == 0
    options.net_size = _net_size(options)
    return options


def _net_size(options: argparse.Namespace) -> str | None:
    """`--net-size`, or what `--width` and `--height` say instead."""
    if options.width is None and options.height is None:
        return options.net_size
    if options.net_size is not None:
        raise UsageError("--net-size and --width or --height say the same; give one of them")
    return f"{options.width or -1}x{options.height or -1}"


# -------------------------------------------------------------------------------------------------------- the work


def _guarded(parser: _Parser, argv: Sequence[str] | None, work: Callable[[argparse.Namespace], int]) -> int:
    """Parse, work, and turn what went wrong into one line on stderr and an exit code."""
    try:
        options = _parse(parser, argv)
        if options.version:
            print(_versions())
            return 0
        return work(options)
    except PoseError as error:
        hint = " (--help lists the options)" if isinstance(error, UsageError) else ""
        print(" ".join(f"{parser.prog}: {error}{hint}".split()), file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130


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
    from posecv import pipeline
    from posecv.sources.pictures import find_pictures

    if not options.input or not all(options.input):
        raise UsageError("no input: name pictures, a folder or a quoted pattern with -i")
    _check_network(options)
    no_window = None
    if options.output is None and options.json is None:
        no_window = "--no-show" if options.no_show else opencv.why_no_window()
        options.output = "." if no_window else None
    jobs = _jobs(options, find_pictures(options.input))

    @functools.cache
    def estimate() -> Estimate:  # loaded for the first picture that can be read
        return method(_network(options), options)

    def found(frame: Frame, seconds: dict[str, float]) -> People:
        people = estimate()(frame, seconds)
        return people if options.threshold is None else people.above(options.threshold)

    code = pipeline.run(jobs, found, bar=True)
    if no_window and code != 2:
        print(f"no window ({no_window}): what is drawn was saved in this folder", file=sys.stderr)
    return code


def _check_network(options: argparse.Namespace) -> None:
    """Find out what can be known to be wrong before anything is read, and which network runs where none is named."""
    from posecv.geometry import NetSize

    NetSize.parse(options.net_size or "-1x368")
    if options.prototxt and not options.model:
        raise UsageError(f"-p {options.prototxt} needs its weights too: -m FILE.caffemodel")
    if options.model is None:
        options.model = _default(options.own_model)


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
    given = {name: getattr(options, name) for name in ("device", "engine", "net_size", "scale", "mean", "swap_rb")}
    network = load_network(*pair, skeleton=options.skeleton, **given)
    if network.engine.warning:
        print(network.engine.warning, file=sys.stderr)
    if network.model.use in ("non-commercial", "research"):
        print(f"{network.model.name}: {network.model.use} use only ({network.model.licence})", file=sys.stderr)
    if options.verbose:
        name, engine = f"{network.model.name} ({network.skeleton.name})", network.engine
        print(f"network {name} runs on {network.device} with {engine.name}", file=sys.stderr)
        if network.engine.note:
            print(network.engine.note, file=sys.stderr)
    return network


def _one_person(network: Network, options: argparse.Namespace) -> Estimate:
    from posecv.estimate import estimate_person

    threshold = 0.0 if network.skeleton.name in ("hand", "face") else SINGLE_THRESHOLD  # these are written whole
    settings = _settings(options) | {"threshold": threshold if options.threshold is None else options.threshold}
    return lambda frame, seconds: estimate_person(network, frame, seconds=seconds, **settings)


def _many_people(network: Network, options: argparse.Namespace) -> Estimate:
    from posecv.estimate import estimate_people

    if not network.has_fields:
        alone = "run_hand.py" if network.skeleton.name == "hand" else "run_pose.py"
        raise UsageError(f"{network.model.name} has no part affinity fields to tell people apart by; use {alone}")
    settings = _settings(options)
    return lambda frame, seconds: estimate_people(network, frame, seconds=seconds, **settings)


def _hand(network: Network, options: argparse.Namespace) -> Estimate:
    from posecv.estimate import estimate_hand

    if network.skeleton.name != "hand":
        raise UsageError(f"{network.model.name} is a network for {network.skeleton.name}, not for hands")
    settings = _settings(options)
    return lambda frame, seconds: estimate_hand(network, frame, options.box, options.left, seconds=seconds, **settings)


def _settings(options: argparse.Namespace) -> dict[str, Any]:
    return {} if options.net_size is None else {"net_size": options.net_size}


def _jobs(options: argparse.Namespace, sources: Sequence[Path]) -> list[Job]:
    """What is to be made of each picture. Its files can be written, and none of them is an input."""
    from posecv.outputs import openpose_json, pictures
    from posecv.outputs.files import plan_files, prepare_files
    from posecv.pipeline import Job

    if options.output is None and options.json is None:
        window = _window(options, "posecv: any key for the next picture, q to end")
        return [Job(source, (window,)) for source in sources]
    outputs: list[list[pictures.DrawnPicture | openpose_json.OpenPoseJson]] = [[] for _ in sources]
    if options.output is not None:
        files = plan_files(sources, options.output, pictures.KIND)
        for made, path in zip(outputs, files, strict=True):
            made.append(pictures.DrawnPicture(path, **_style(options)))
    if options.json is not None:
        files = plan_files(sources, options.json, openpose_json.KIND)
        for made, path in zip(outputs, files, strict=True):
            made.append(openpose_json.OpenPoseJson(path, left=getattr(options, "left", False)))
    prepare_files([output.path for made in outputs for output in made], sources)
    return [
        Job(source, tuple(made), tuple(output.path for output in made))
        for source, made in zip(sources, outputs, strict=True)
    ]


def _style(options: argparse.Namespace) -> dict[str, float]:
    """How people are drawn, where the options say it."""
    given = {"threshold": options.threshold, "alpha": options.alpha}
    return {name: value for name, value in given.items() if value is not None}


def _window(options: argparse.Namespace, title: str) -> Window:
    from posecv.outputs.window import Window

    return Window(title, **_style(options))


def _webcam(options: argparse.Namespace) -> int:
    """Show a camera's people until somebody has seen enough."""
    opencv.require_opencv()
    from posecv import live
    from posecv.sources.cameras import open_camera

    _check_network(options)
    if not options.no_show and (why_not := opencv.why_no_window()):
        raise UsageError(f"no window ({why_not}); --no-show tells the frame rate without one")
    with open_camera(options.input) as frames:
        network = _network(options)
        method = _one_person if options.single or not (network.has_fields or options.multi) else _many_people
        estimate = method(network, options)
        if options.no_show:
            return live.tell(frames, estimate)
        return live.show(frames, estimate, _window(options, "posecv: q to end"))
