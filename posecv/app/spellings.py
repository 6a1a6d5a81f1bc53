"""Options of other programs: those with the same meaning, and advice for the others."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable

from posecv.errors import UsageError

__all__ = ["ALIASES", "ELSEWHERE", "HARMLESS", "in_flags", "nearest_options", "normalised"]

# Options of widely used programs (OpenPose, OpenCV's sample, LearnOpenCV) with the same meaning.
ALIASES = {
    "--proto": "--prototxt",
    "--prototxt-path": "--prototxt",
    "--caffemodel-path": "--model",
    "--model-pose": "--model",
    "--pose": "--model",
    "--imgpath": "--input",
    "--image": "--input",
    "--image-file": "--input",
    "--image-dir": "--input",
    "--video": "--input",
    "--video-file": "--input",
    "--ip-camera": "--input",
    "--camera": "--input",
    "--camera-resolution": "--camera-size",
    "--frame-first": "--first",
    "--frame-last": "--last",
    "--frame-step": "--step",
    "--frame-flip": "--flip",
    "--frame-rotate": "--rotate",
    "--write-video": "--output",
    "--write-coco-json": "--coco-json",
    "--write-images": "--images",
    "--write-video-fps": "--rate",
    "--write-json": "--json",
    "--write-keypoint-json": "--json",
    "--write-pose-json": "--json",
    "--write-heatmaps": "--heatmaps",
    "--net-resolution": "--net-size",
    "--hand-net-resolution": "--hand-net-size",
    "--face-net-resolution": "--face-net-size",
    "--num-scales": "--scale-number",
    "--hand-scale-number": "--hand-scales",
    "--hand-scale-range": "--hand-range",
    "--thr": "--threshold",
    "--dataset": "--skeleton",
    "--alpha-pose": "--alpha",
    "--render-pose": "--render",
    "--no-display": "--no-show",
}
# Options of other programs, or of other scripts of posecv, and what to use instead.
ELSEWHERE = {
    "--resize": "it would stretch the image; --net-size WxH keeps the aspect ratio",
    "--hand": "run_multi_pose.py finds hands along with bodies, run_hand.py only hands",
    "--face": "run_multi_pose.py finds faces along with bodies",
    "--body": "run_hand.py finds hands without bodies, the other scripts find bodies",
    "--model-folder": "set POSECV_MODELS to the folder of models",
    "--net-resolution-dynamic": "a side of -1 is at most 16:9 of the other; --net-size WxH fixes both",
    "--upsampling-ratio": "maps are always enlarged by 8",
    "--part-candidates": "only the keypoints of people are written",
    "--fps-max": "a run is as fast as possible; --step N skips frames",
    "--frames-repeat": "a video is processed once",
    "--process-real-time": "cameras and streams drop frames that come too fast, videos never do",
    "--write-images-format": "-o out.jpg chooses the format of one image; in a folder they are PNG",
    "--write-video-with-audio": "the sound is copied if PyAV is installed",
    "--write-heatmaps-format": "--heatmaps writes images (.png) and values (.npy)",
    "--heatmaps-scale": "--heatmaps writes unchanged values, which is OpenPose's scale 3",
    "--part-to-show": "--heatmaps FOLDER --heatmaps-of nose,neck-nose,background,all,pafs writes such images",
    **dict.fromkeys(("--output-resolution", "--resolution"), "the drawn image has the size of the frame"),
    **dict.fromkeys(("--face-detector", "--hand-detector"), "hands and faces are located by the body's keypoints"),
    **dict.fromkeys(("--face-render", "--hand-render"), "--render is for bodies, hands and faces"),
    **dict.fromkeys(("--face-alpha-pose", "--hand-alpha-pose"), "--alpha is for bodies, hands and faces"),
    **dict.fromkeys(
        ("--alpha-heatmap", "--face-alpha-heatmap", "--hand-alpha-heatmap"), "--heatmaps draws over a grey frame"
    ),
    **dict.fromkeys(
        ("--render-threshold", "--face-render-threshold", "--hand-render-threshold"),
        "--threshold T removes weak keypoints from drawings and files",
    ),
    **dict.fromkeys(
        ("--write-keypoint", "--write-pose", "--write-keypoint-format"), "--json and --csv write the keypoints"
    ),
    **dict.fromkeys(
        ("--write-coco-json-variants", "--write-coco-json-variant"), "--coco-json writes the 17 keypoints of bodies"
    ),
    **dict.fromkeys(("--identification", "--tracking", "--ik-threads"), "--track gives people ids"),
    **dict.fromkeys(
        ("--frame-undistort", "--frame-keep-distortion", "--camera-parameter-path", "--camera-parameter-folder"),
        "lens distortion is not corrected; use cv2.undistort beforehand",
    ),
    **dict.fromkeys(("--flir-camera", "--flir-camera-index"), "-i N reads cameras that OpenCV supports"),
    **dict.fromkeys(
        (
            "--3d", "--3d-min-views", "--3d-views", "--write-bvh", "--write-video-3d", "--write-video-adam",
            "--udp-host", "--udp-port",
        ),
        "keypoints are two-dimensional",
    ),
    **dict.fromkeys(
        ("--scale-number", "--scale-gap"),
        "run_pose.py and run_multi_pose.py can average several scales; for hands there is --hand-scales",
    ),
}  # fmt: skip

# Options of OpenPose that choose how it works or what it prints. Results are the same without them.
HARMLESS = {
    "--num-gpu": "--device chooses where the network runs",
    "--num-gpu-start": "--device chooses where the network runs",
    "--disable-multi-thread": "reading, network and writing always overlap",
    "--profile-speed": "the line for each input contains the milliseconds",
    "--logging-level": "-v prints more",
    "--cli-verbose": "a terminal shows the progress",
    "--fullscreen": "the window fits the screen",
    "--no-gui-verbose": "the window shows only the drawn image",
}

# Library parameters whose options have other names.
FLAGS = {"merge": "hand-merge", "scale_range": "hand-range"}
PARAMETERS = (
    "track_memory",
    "net_size", "hand_net_size", "face_net_size", "scale_number", "scale_gap", "scale_range", "merge", "engine",
    "device", "skeleton", "stages", "first", "last", "step", "rotate", "keypoint_scale", "heatmaps_of", "heatmaps",
    "threshold", "body_model", "model", "maximize_positives", "detector", "detector_every", "codec", "output", "json",
    "csv", "coco_json", "record", "images", "json_form", "csv_form", "mask", "coco_annotations",
)  # fmt: skip


def in_flags(message: str, options: Iterable[str] = ()) -> str:
    """Replace the library's parameters and functions in a message by options and scripts.

    `options` are the parser's own, for parameters of the same name:

    >>> in_flags("counts=a.doc is not a text file", ["-o", "--counts"])
    '--counts a.doc is not a text file'

    >>> in_flags("net_size=370: 370 is not a multiple of 16")
    '--net-size 370: 370 is not a multiple of 16'
    >>> in_flags("mpi has no part affinity fields; use estimate_person (run_pose.py)")
    'mpi has no part affinity fields; use run_pose.py'

    The scales of a hand's box have an option of their own:

    >>> in_flags("scale_number=3 scale_range=3: too far apart")
    '--hand-scales 3 --hand-range 3: too far apart'
    """
    message = re.sub(r"\bscale_number=(?=\S+ scale_range=)", "--hand-scales ", message)
    own = (option[2:].replace("-", "_") for option in options if option.startswith("--"))
    names = "|".join(sorted({*PARAMETERS, *own}, key=len, reverse=True))
    message = re.sub(r"\bestimate_\w+ \((run_\w+\.py)\)", r"\1", message)
    return re.sub(rf"\b({names})=", lambda match: f"--{FLAGS.get(match[1], match[1].replace('_', '-'))} ", message)


def normalised(words: Iterable[str], known: Collection[str] = ()) -> list[str]:
    """The command line in posecv's spelling, with values that begin with a dash joined to their option.

    Options may have a single dash, as gflags allows it; `known` are the parser's own options:

    >>> normalised(["-image_dir", "holiday", "-o", "drawn"], ["--input", "--output"])
    ['--input', 'holiday', '-o', 'drawn']

    Raises
    ------
    UsageError
        If a word with a single dash looks like a misspelt option. It would be read as a short option and its value.
    """
    words, options = list(words), {*known, *ALIASES, *ELSEWHERE, *HARMLESS}
    end = words.index("--") if "--" in words else len(words)
    result: list[str] = []
    for word in words[:end]:
        word = _double_dashed(word, options)
        if word.startswith("--"):
            name, equals, value = word.partition("=")
            name = name.replace("_", "-")
            name = ALIASES.get(name, name)
            if value.lower() not in ("true", "false"):
                result.append(name + equals + value)
            elif value.lower() == "true":  # gflags allows --flag true; false means to omit it
                result.append(name)
        elif re.match(r"-[\d.]+[x,]", word) and result and re.fullmatch(r"--[a-z-]+", result[-1]):
            result[-1] += f"={word}"  # argparse would treat -1x368 as an option
        else:
            result.append(word)
    return result + words[end:]


def nearest_options(name: str, known: Collection[str]) -> list[str]:
    """The options that an unknown one may mean: --save is --output, --save-json is --json, others are misspelt.

    >>> nearest_options("--save-json", ["--json", "--scale"])
    ['--json']
    """
    if name == "--save" or name.startswith("--save-"):
        what = name.removeprefix("--save").lstrip("-")
        plain = f"--{what}" if f"--{what}" in known and f"--{what}" not in ALIASES else "--output"
        return [ALIASES.get(f"--write-{what}", plain)]
    return difflib.get_close_matches(name, known, n=2, cutoff=0.7)


def _double_dashed(word: str, known: Collection[str]) -> str:
    """A word with a single dash that is a long option, with two dashes."""
    match = re.fullmatch(r"-([A-Za-z][A-Za-z0-9_-]+)(=.*)?", word, re.DOTALL)
    if not match:
        return word
    name = "--" + match[1].replace("_", "-")
    if name in known:
        return f"-{word}"
    if nearest := difflib.get_close_matches(name, known, n=1, cutoff=0.85):
        raise UsageError(f"unknown option {word}; did you mean {nearest[0]}?")
    return word
