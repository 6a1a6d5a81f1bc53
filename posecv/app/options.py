"""The options of the four scripts, with the same names in each."""

from __future__ import annotations

import argparse
import functools
import re
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn, TypeVar

from posecv import models
from posecv.app.spellings import ALIASES, ELSEWHERE, HARMLESS, nearest_options, normalised
from posecv.app.unused import Store, unused
from posecv.checks import LARGEST
from posecv.errors import UsageError
from posecv.terminal import say

T = TypeVar("T")

__all__ = [
    "PARTS", "SINGLE_THRESHOLD", "Parser", "camera_parser", "hand_parser", "multi_parser", "parse",
    "plan_parser", "single_parser",
]  # fmt: skip

DEVICES = ("auto", "cpu", "cuda", "cuda-fp16", "opencl")
ENGINES = ("auto", "opencv", "opencv-thin", "openvino", "openvino-float32", "onnxruntime")
PARTS = {"hand": "light_hand", "face": "light_face"}  # what can be found along with bodies, and the default networks
SINGLE_THRESHOLD = 0.1  # run_pose.py's default, as in the tutorials
RENDER = ("skeleton", "keypoints", "blank", "none")
LABELS = ("none", "index", "name")
EPILOG = (
    "Defaults are in parentheses. Exit codes: 0 all done, 1 some inputs failed, 2 nothing was done, 130 Ctrl-C. "
    "Underscores in options work as well as dashes, and so do OpenPose's option names; docs/options.md lists them."
)
COLORS = ("openpose", "controlnet")
JSON_FORMS = ("openpose", "body_25", "controlnet")
JSON_LAYOUTS = ("flat", "folders")
CSV_FORMS = ("plain", "excel")
SIDES = ("left", "right")
COORDINATES = ("image", "net", "unit", "signed", "source")


class Help(argparse.HelpFormatter):
    """Help with one line for most options: the value is named once, and choices are in the text."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=26)

    def _format_action_invocation(self, action: argparse.Action) -> str:
        if not action.option_strings or action.nargs == 0:
            return super()._format_action_invocation(action)
        several = " ..." if action.nargs == "+" else ""
        return f"{', '.join(action.option_strings)} {action.metavar or action.dest.upper()}{several}"


class Parser(argparse.ArgumentParser):
    """A parser with compact help that raises UsageError for errors."""

    def __init__(self, description: str, prog: str | None = None) -> None:
        super().__init__(
            prog=prog,
            usage="%(prog)s -i FILE [FILE ...] [options]",
            description=description,
            epilog=EPILOG,
            formatter_class=Help,
            allow_abbrev=False,
        )
        self.check: Callable[[argparse.Namespace], None] = lambda options: None  # UsageError for contradictions
        self.register("action", None, Store)
        self.register("action", "store", Store)
        self._named: dict[str, argparse._ArgumentGroup] = {}

    def group(self, title: str) -> argparse._ArgumentGroup:
        """The group of options with a title; made at its first use."""
        if title not in self._named:
            self._named[title] = self.add_argument_group(title)
        return self._named[title]

    @property
    def flags(self) -> list[str]:
        """All options, in all spellings that the parser knows."""
        return list(self._option_string_actions)

    def error(self, message: str) -> NoReturn:
        raise UsageError(re.sub(r"^argument ", "", message))


def single_parser(prog: str | None = None) -> Parser:
    """The options of run_pose.py."""
    said = "Find the keypoints of one person in each image."
    parser = _picture_parser(said, prog, threshold=f"{SINGLE_THRESHOLD}")
    parser.add_argument(
        "--best", action="store_true", default=None,
        help="of several people the best one, whole (default without -p and -m: on)",
    )  # fmt: skip
    _add_scales(parser)
    _add_region(parser)
    _add_detector(parser)
    return parser


def multi_parser(prog: str | None = None) -> Parser:
    """The options of run_multi_pose.py."""
    parser = _picture_parser("Find the keypoints of everybody in each image or video.", prog)
    _add_scales(parser)
    people = _add_persons(parser)
    people.add_argument("--maximize-positives", action="store_true", help="more detections, more false positives")
    _add_track(parser)
    _add_smooth(parser)
    _add_region(parser)
    _add_parts(parser)
    _add_detector(parser)
    return parser


def plan_parser(prog: str | None = None) -> Parser:
    """The options of `posecv plan`: those of networks and people, and what is planned."""
    parser = multi_parser(prog)
    parser.usage = "%(prog)s --pictures N [-i FILE ...] [options of posecv people]"
    parser.description = "Tell what finding the people in many images would take, from this machine's measured speed."
    group = parser.group("plan")
    group.add_argument("--pictures", type=_rate, required=True, metavar="N", help="how many images, such as 1e9")
    group.add_argument("--cores", type=int, default=1, metavar="N", help="that work at once (1)")
    group.add_argument("--people", type=_rate, default=2.4, metavar="N", help="people in an image, on average (2.4)")
    group.add_argument("--price", type=_number, default=0.0, metavar="P", help="price of a core for an hour")
    group.add_argument("--compact", action="store_true", help="16-bit integers in the tables")
    return parser


def hand_parser(prog: str | None = None) -> Parser:
    """The options of run_hand.py."""
    parser = _picture_parser(
        "Find the 21 keypoints of one hand in each image.",
        prog,
        net_size="-1x160, 160x160 with --box",
        threshold="all are written, those above 0.2 are drawn",
        own_model="light_hand",
    )
    hand = parser.group("hand")
    hand.add_argument(
        "--box",
        type=_hand_box,
        action="append",
        metavar="X,Y,W,H[,SIDE]",
        help="where the hand is, in pixels (default: anywhere), and left or right; repeat it for further hands",
    )
    hand.add_argument("--hand-net-size", dest="net_size", help=argparse.SUPPRESS)
    hand.add_argument("--left", action="store_true", help="it is a left hand")
    hand.add_argument("--from-body", action="store_true", help="find people's left and right hands by their arms")
    hand.add_argument("--body-model", metavar="NAME|P,M", help="network that finds people for --from-body (light_body)")
    _add_hand_scales(hand)
    parser.check = check_hand
    return parser


def check_hand(options: argparse.Namespace) -> None:
    """Raise UsageError if options of run_hand.py contradict each other."""
    if options.from_body:
        for name, given in (("--box", options.box), ("--left", options.left), ("--heatmaps", options.heatmaps)):
            if given:
                raise UsageError(f"--from-body finds left and right hands itself; {name} is for one hand")
    elif options.body_model:
        raise UsageError(f"--body-model {options.body_model} needs --from-body")
    elif options.heatmaps and len(options.box or ()) > 1:
        raise UsageError("--heatmaps writes the maps of one hand; give one --box")
    elif options.keypoint_scale == "net" and (options.box or options.hand_scales > 1):
        raise UsageError("--keypoint-scale net needs the whole image as input; use image, unit or signed")


def camera_parser(prog: str | None = None) -> Parser:
    """The options of webcam_pose.py."""
    description = "Show the people in front of a camera. ? lists the keys; q, Escape or closing the window ends it."
    parser = Parser(description, prog)
    parser.usage = "%(prog)s [-i SOURCE] [options]"
    parser.add_argument(
        "-i",
        "--input",
        "--camera",
        default="0",
        metavar="SOURCE",
        help="number of the camera (default 0), address of a stream, or a video, which plays like a camera",
    )
    where = parser.group("camera, display and recording")
    _add_camera(where)
    where.add_argument(
        "--serve",
        type=_address,
        metavar="[HOST:]PORT",
        help="also show it on a web page, for this computer unless HOST is given",
    )
    where.add_argument("--record", metavar="FILE", help="record what is shown from the start; r ends it")
    where.add_argument("--mirror", action="store_true", help="show a mirror image; results are not mirrored")
    _add_outputs(parser)
    parser.set_defaults(resume=False)
    people = parser.add_mutually_exclusive_group()
    people.add_argument("--multi", action="store_true", help="everybody (default if the network can)")
    people.add_argument("--single", action="store_true", help="one person, which is faster")
    _add_persons(parser)
    _add_track(parser)
    _add_smooth(parser)
    _add_parts(parser)
    _add_detector(parser)
    no_show = "no window: print the frame rate each second"
    _add_shared(parser, no_show=no_show, net_size="-1x368", threshold="the model's", own_model="light_body")
    return parser


def _picture_parser(
    description: str,
    prog: str | None,
    *,
    net_size: str = "-1x368",
    threshold: str = "the model's",
    own_model: str = "light_body",
) -> Parser:
    """The options of the scripts that read images; defaults are given in words."""
    parser = Parser(description, prog)
    _add_files(parser)
    _add_frames(parser)
    no_show = "no window; without -o or --json, save NAME_pose.png in this folder"
    _add_shared(parser, no_show=no_show, net_size=net_size, threshold=threshold, own_model=own_model)
    return parser


def _add_files(parser: Parser) -> None:
    """The options of inputs and outputs."""
    parser.add_argument(
        "-i",
        "--input",
        nargs="+",
        action="extend",
        metavar="FILE",
        help="images, videos, folders, quoted patterns, camera numbers, addresses of streams, or - for standard input",
    )
    forms = _add_outputs(parser)
    parser.add_argument("--images", metavar="FOLDER", help="a drawn image of each frame, of videos too")
    parser.add_argument("--resume", action="store_true", help="skip what an earlier run has done")
    forms.add_argument("--rate", type=_rate, metavar="N", help="images per second of a video made of images (25)")
    forms.add_argument("--show-fps", action="store_true", help="draw the frames per second")


def _add_outputs(parser: Parser) -> argparse._ArgumentGroup:
    """The options of outputs; returns the group of their forms."""
    parser.add_argument(
        "-o",
        "--output",
        metavar="PATH",
        help="drawn result: an image, a video such as out.avi, or a folder for NAME_pose.png",
    )
    parser.add_argument(
        "--json",
        metavar="PATH",
        help="OpenPose JSON: a folder for NAME_keypoints.json, a .json file, or a .jsonl file with one line per frame",
    )
    parser.add_argument("--csv", metavar="FILE", help="a table with one row per person and frame")
    parser.add_argument("--angles", metavar="FILE", help="a table of joint angles, one row per person and frame")
    parser.add_argument("--coco-json", metavar="FILE", help="COCO's results, 17 keypoints, for evaluation")
    forms = parser.group("forms of the results")
    forms.add_argument(
        "--keypoint-scale",
        type=_keypoint_scale,
        default=COORDINATES[0],
        metavar="SCALE",
        help=f"coordinates in --json and --csv: {', '.join(COORDINATES)} ({COORDINATES[0]})",
    )
    forms.add_argument(
        "--json-form",
        choices=JSON_FORMS,
        default=JSON_FORMS[0],
        metavar="FORM",
        help="openpose (default), body_25, controlnet",
    )
    forms.add_argument(
        "--json-layout", choices=JSON_LAYOUTS, default=JSON_LAYOUTS[0], metavar="HOW", help="flat (default), folders"
    )
    forms.add_argument(
        "--csv-form",
        choices=CSV_FORMS,
        default=CSV_FORMS[0],
        metavar="FORM",
        help="plain (default), excel: decimal commas",
    )
    forms.add_argument("--coco-annotations", metavar="JSON", help="COCO's annotations, for the ids of the images")
    forms.add_argument("--codec", metavar="NAME", help="of videos: h264 (needs PyAV), mjpg, mp4v, vp8, ...")
    _add_heatmaps(parser)
    return forms


def _add_heatmaps(parser: Parser) -> None:
    """The options of the network's maps."""
    maps = parser.group("forms of the results")
    maps.add_argument("--heatmaps", metavar="FOLDER", help="the network's maps: .png over the frame, .npy")
    maps.add_argument(
        "--heatmaps-of",
        type=lambda text: text.split(","),
        metavar="WHAT",
        help="which maps: nose, neck-nose (a limb's field), all, background, pafs, separated by commas",
    )
    for flag, item in (("parts", "all"), ("bkg", "background"), ("PAFs", "pafs")):  # OpenPose's
        option = f"--heatmaps-add-{flag}"
        maps.add_argument(option, dest="heatmaps_of", action="append_const", const=item, help=argparse.SUPPRESS)


def _add_frames(parser: Parser) -> None:
    """The options of frames and cameras."""
    frames = parser.group("frames of videos, counted from 0, and cameras")
    frames.add_argument("--first", type=_whole, default=0, metavar="N", help="first frame")
    frames.add_argument("--last", type=_whole, default=-1, metavar="N", help="last frame (default: the end)")
    frames.add_argument("--step", type=_whole, default=1, metavar="N", help="use every Nth frame")
    frames.add_argument("--rotate", type=_whole, default=0, metavar="DEGREES", help="90, 180 or 270, clockwise")
    frames.add_argument("--flip", action="store_true", help="mirror images and frames, after --rotate")
    _add_camera(frames)


def _add_camera(group: argparse._ArgumentGroup) -> None:
    """The options of cameras."""
    group.add_argument("--camera-size", type=_size, metavar="WxH", help="frame size to request from a camera")
    group.add_argument("--camera-fps", type=_rate, metavar="N", help="frames per second to request from it")


def _add_scales(parser: Parser) -> None:
    """The options for several scales of the whole frame."""
    scales = parser.group("network")
    scales.add_argument("--scale-number", type=_whole, default=1, metavar="N", help="average the maps of N scales (1)")
    scales.add_argument(
        "--scale-gap", type=_number, metavar="G", help="each is smaller by this share of the first (0.25)"
    )


def _add_hand_scales(group: argparse._ArgumentGroup) -> None:
    """The options for several boxes round a hand or a face."""
    group.add_argument("--hand-scales", type=_whole, default=1, metavar="N", help="box sizes to try (default: 1)")
    group.add_argument("--hand-range", type=_number, metavar="R", help="their range: 0.4 is 0.8 to 1.2 (default: 0.4)")
    group.add_argument("--hand-merge", choices=("best", "mean"), metavar="HOW", help="best one (default), or mean map")


def _add_parts(parser: Parser) -> None:
    """The options for finding hands and faces along with bodies."""
    parts = parser.group("hands and faces, located by arms and heads")
    for part, own in PARTS.items():
        parts.add_argument(f"--{part}", action="store_true", help=f"also find {part}s")
        parts.add_argument(
            f"--{part}-model",
            metavar="NAME|P,M",
            help=f"a model's name, or a pair of files ({own})",
        )
        parts.add_argument(f"--{part}-net-size", metavar="SIZE", help="size of its input (default: the model's)")
    _add_hand_scales(parts)


def _add_detector(parser: Parser) -> None:
    """The options for a network that looks at one person at a time, in the boxes of a detector."""
    group = parser.group("detector, if the network looks at one person at a time")
    group.add_argument(
        "--detector",
        metavar="NAME|P,M",
        help="finds people's boxes (the network's own)",
    )
    group.add_argument("--detector-scale", type=_scale, metavar="S", help="factor for its pixel values")
    group.add_argument("--detector-mean", type=_mean, metavar="M", help="subtracted from its pixel values")
    group.add_argument("--detector-swap-rb", action="store_true", default=None, help="it expects RGB")
    group.add_argument(
        "--detector-every", type=_whole, default=1, metavar="N", help="run it in every Nth frame of a video (1)"
    )


def _add_persons(parser: Parser) -> argparse._ArgumentGroup:
    """The options for who is left out."""
    people = parser.group("result")
    people.add_argument(
        "--person-threshold", type=_number, metavar="T", help="leave out people who score T or less (the model's)"
    )
    people.add_argument("--person-keypoints", type=_whole, default=0, metavar="N", help="those with fewer keypoints")
    people.add_argument(
        "--person-height", type=_number, default=0.0, metavar="H", help="and those whose keypoints span less, in pixels"
    )
    return people


def _add_track(parser: Parser) -> None:
    """The options for who is who over the frames of a video."""
    group = parser.group("people over time")
    group.add_argument(
        "--track", action="store_true", help="give people ids that stay the same: person_id in --json, id in --csv"
    )
    group.add_argument(
        "--track-memory", type=_seconds, metavar="SECONDS", help="how long somebody may be hidden (default: 2)"
    )


def _add_smooth(parser: Parser) -> None:
    """The options for smooth motion."""
    group = parser.group("people over time")
    group.add_argument("--smooth", action="store_true", help="less jitter, for people with ids (implies --track)")
    group.add_argument("--smooth-still", type=_number, metavar="HZ", help="for who is still: lower is smoother (0.5)")
    group.add_argument(
        "--smooth-follow", type=_number, metavar="F", help="more Hz for each size of the person a second (6)"
    )


def _add_region(parser: Parser) -> None:
    """The options for a part of the frame."""
    region = parser.group("part of the frame in which to search")
    region.add_argument("--box", type=_box, metavar="X,Y,W,H", help="a box in pixels of the frame")
    region.add_argument("--mask", metavar="FILE", help="an image, black where nobody is wanted")


def _add_shared(parser: Parser, *, no_show: str, net_size: str, threshold: str, own_model: str) -> None:
    """The options of all four scripts."""
    parser.add_argument(
        "-m",
        "--model",
        metavar="NAME|FILE",
        help=f"the network: a model's name, an ONNX file, or the weights for -p (default: {own_model})",
    )
    parser.add_argument(
        "--net-size",
        metavar="SIZE",
        help=f"size of its input: 368x-1, WxH, or N for the shorter side (default: {net_size})",
    )
    parser.add_argument("--no-show", action="store_true", help=no_show)
    network = parser.group("network")
    network.add_argument("-p", "--prototxt", metavar="FILE", help="the prototxt of a pair; -m names its weights")
    network.add_argument("--skeleton", metavar="NAME", help="coco, mpi, body_25, ...; if it is not recognised")
    network.add_argument("--scale", type=_scale, metavar="S", help="factor for pixel values (of unknown pairs: 1/256)")
    network.add_argument("--mean", type=_mean, metavar="M", help="subtracted from them: number or B,G,R (128)")
    network.add_argument("--swap-rb", action="store_true", default=None, help="the network expects RGB instead of BGR")
    network.add_argument(
        "--device", type=_device, default="auto", metavar="DEVICE", help=f"{', '.join(DEVICES)} (gpu: cuda)"
    )
    network.add_argument(
        "--engine", choices=ENGINES, default="auto", metavar="NAME", help=f"{', '.join(ENGINES)} (auto: the fastest)"
    )
    network.add_argument("--stages", type=_whole, metavar="N", help="run only its first N stages, which is faster")
    # OpenCV's sample has these instead of --net-size.
    network.add_argument("--width", type=_whole, help=argparse.SUPPRESS)
    network.add_argument("--height", type=_whole, help=argparse.SUPPRESS)
    result = parser.group("result")
    result.add_argument(
        "--threshold",
        type=_number,
        metavar="T",
        help=f"remove keypoints that score T or less ({threshold})",
    )
    result.add_argument("--alpha", type=_share, metavar="A", help="opacity of the drawing, 0 to 1 (default: 0.8)")
    result.add_argument(
        "--render", type=_render, metavar="HOW", help="skeleton (default), keypoints, blank, none"
    )
    result.add_argument(
        "--colors", choices=COLORS, default=COLORS[0], metavar="HOW", help="colours: openpose (default), controlnet"
    )
    result.add_argument(
        "--labels",
        choices=LABELS,
        default=LABELS[0],
        metavar="HOW",
        help="text beside keypoints: none (default), index, name",
    )
    on_black = "--disable-blending"  # OpenPose's
    result.add_argument(on_black, dest="render", action="store_const", const="blank", help=argparse.SUPPRESS)
    result.add_argument("--number-people-max", type=_whole, metavar="N", help="keep the N best people")
    result.add_argument("--display", type=_whole, help=argparse.SUPPRESS)  # OpenPose's; 0 is --no-show
    parser.add_argument("-v", "--verbose", action="store_true", help="print which network runs on which device")
    parser.set_defaults(own_model=own_model)
    parser.add_argument("--version", action="store_true", help="show the versions and exit")


def _option(parse: Callable[[str], T], text: str) -> T:
    """The value of an option, parsed like a column of the manifest."""
    try:
        return parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is {error}") from None


_number = functools.partial(_option, models.read_number)


def _scale(text: str) -> float | tuple[float, float, float]:
    """One number for all channels, or three separated by commas."""
    values = _option(models.read_mean, text.strip("()[] "))
    return values[0] if len(set(values)) == 1 else values


def _mean(text: str) -> tuple[float, float, float]:
    return _option(models.read_mean, text.strip("()[] "))


def _render(text: str) -> str:
    how = {"0": "none", "1": "skeleton", "2": "skeleton", "-1": "skeleton"}.get(text, text)  # OpenPose's numbers
    if how not in RENDER:
        raise argparse.ArgumentTypeError(f"{text!r} is not one of {', '.join(RENDER)}")
    return how


def _keypoint_scale(text: str) -> str:
    # OpenPose's numbers; its 2 is the resolution of the drawn image, which is the image's here.
    scale = {"0": "image", "1": "net", "2": "image", "3": "unit", "4": "signed"}.get(text, text)
    if scale not in COORDINATES:
        raise argparse.ArgumentTypeError(f"{text!r} is not one of {', '.join(COORDINATES)}")
    return scale


def _size(text: str) -> tuple[int, int]:
    sides = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", text)
    if not sides:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size in pixels such as 1280x720")
    return int(sides[1]), int(sides[2])


def _whole(text: str) -> int:
    """A whole number that OpenCV can count to; longer ones would fail anywhere on the way."""
    if not re.fullmatch(r"\s*[+-]?\d{1,10}\s*", text) or abs(int(text)) > LARGEST:
        said = text if len(text) < 40 else f"{text[:37]}..."
        raise argparse.ArgumentTypeError(f"{said} is not a whole number of at most {LARGEST}")
    return int(text)


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


def _hand_box(text: str) -> tuple[tuple[float, float, float, float], bool | None]:
    """The box, and whether it is that of a left hand; None if the text does not say so."""
    box, _, side = text.strip("()[] ").rpartition(",")
    if side.strip().lower() not in SIDES:
        return _box(text), None
    return _box(box), side.strip().lower() == "left"


def _device(text: str) -> str:
    device = {"gpu": "cuda"}.get(text.lower(), text.lower().replace("_", "-"))
    if device not in DEVICES:
        raise argparse.ArgumentTypeError(f"{text!r} is not one of {', '.join(DEVICES)}")
    return device


def _seconds(text: str) -> float:
    value = _number(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is below 0; give seconds, such as 2")
    return value


def _rate(text: str) -> float:
    value = _number(text)
    if value <= 0:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def _address(text: str) -> tuple[str, int]:
    match = re.fullmatch(r"(?:(\[[^]]+\]|[^:]+):)?(\d+)", text)
    if not match or int(match[2]) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port such as 8000, or host and port such as 0.0.0.0:8000")
    return (match[1] or "127.0.0.1").strip("[]"), int(match[2])


def parse(parser: Parser, argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line; UsageError suggests the nearest names for an unknown option."""
    own = parser.flags
    options, unknown = parser.parse_known_args(normalised(sys.argv[1:] if argv is None else argv, own))
    _refuse(unknown, [*own, *ALIASES])
    options.no_show |= options.display == 0
    parser.check(options)
    for line in unused(options, {name: parser.get_default(name) for name in vars(options)}):
        say(line)
    for noted in {"given", "again"} & vars(options).keys():  # by `Store`
        delattr(options, noted)
    _complete_parts(options)
    _complete_heatmaps(options)
    options.net_size = _net_size(options)
    return options


def _refuse(unknown: Sequence[str], known: Sequence[str]) -> None:
    """Raise UsageError with all unknown options; print a line about those that would change nothing."""
    needless: list[str] = []
    faults: list[str] = []
    after_option = False
    for word in unknown:
        name = word.partition("=")[0]
        if not word.startswith("-") or word == "--":
            if not after_option:
                faults.append(f"{word!r} does not belong to an option; give inputs with -i")
        elif name in HARMLESS:
            needless.append(name)
        elif name in ELSEWHERE:
            faults.append(f"{name} is not supported: {ELSEWHERE[name]}")
        else:
            nearest = nearest_options(name, known)
            faults.append(f"unknown option {name}" + (f"; did you mean {' or '.join(nearest)}?" if nearest else ""))
        after_option = word.startswith("-") and word != "--" and "=" not in word
    if faults:
        raise UsageError("; ".join(faults))
    if needless:
        say("; ".join(f"{name} is ignored: {HARMLESS[name]}" for name in dict.fromkeys(needless)))


def _complete_parts(options: argparse.Namespace) -> None:
    """The networks of hands and faces."""
    for part, own in PARTS.items():
        if hasattr(options, f"{part}_model"):
            setattr(options, f"{part}_model", getattr(options, f"{part}_model") or own)


def _complete_heatmaps(options: argparse.Namespace) -> None:
    """The kinds of maps without duplicates, by default all keypoints; UsageError without a folder for them."""
    items = getattr(options, "heatmaps_of", None)
    folder = getattr(options, "heatmaps", None)
    if items and folder is None:
        raise UsageError(f"--heatmaps-of {','.join(items)} needs --heatmaps FOLDER")
    options.heatmaps_of = list(dict.fromkeys(items or ["all"]))


def _net_size(options: argparse.Namespace) -> str | None:
    """The value of `--net-size`, or of `--width` and `--height` instead."""
    if options.width is None and options.height is None:
        return options.net_size
    if options.net_size is not None:
        raise UsageError("--net-size means the same as --width and --height; give only one of them")
    return f"{options.width or -1}x{options.height or -1}"
