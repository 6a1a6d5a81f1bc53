"""The command that converts a Caffe pair to an ONNX file.

    python -m posecv.convert pose.prototxt pose.caffemodel pose.onnx

OpenCV 5 and other engines read it; height, width and batch size of its input are variable.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from posecv.errors import OutputError, PoseError
from posecv.opencv import require_opencv
from posecv.terminal import ends_unread, say

__all__ = ["main"]


@ends_unread
def main(argv: Sequence[str] | None = None, prog: str = "posecv.convert") -> int:
    """Convert one pair. Exit codes: 0 written, 1 not written, 2 not convertible, 130 Ctrl-C."""
    parser = argparse.ArgumentParser(
        prog=prog,
        usage=argparse.SUPPRESS,  # so that errors are one line
        description=f"{_called(prog)} PROTOTXT CAFFEMODEL [ONNX]: convert a Caffe pair to an ONNX file.",
        epilog="Exit codes: 0 written, 1 not written, 2 not convertible or wrong options, 130 Ctrl-C.",
    )
    parser.add_argument("prototxt", type=Path, help="the network")
    parser.add_argument("caffemodel", type=Path, help="its weights")
    parser.add_argument("onnx", type=Path, nargs="?", help="the file to write (default: beside the weights)")
    options = parser.parse_args(argv)
    target = options.onnx or options.caffemodel.with_suffix(".onnx")
    try:
        return _convert(prog, options.prototxt, options.caffemodel, target)
    except PoseError as error:
        say(f"{prog}: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        return 130


def _called(prog: str) -> str:
    return f"python -m {prog}" if "." in prog else prog


def _convert(prog: str, prototxt: Path, caffemodel: Path, target: Path) -> int:
    """Convert, write, and report what was written."""
    require_opencv()
    from posecv.files import write_whole
    from posecv.formats.conversion import convert_pair
    from posecv.formats.onnx import OPSET, node_names
    from posecv.outputs.files import prepare_files

    prepare_files([target], [prototxt, caffemodel])
    data = convert_pair(prototxt, caffemodel)
    try:
        write_whole(target, data)
    except OutputError as error:
        say(f"{prog}: {error}")
        return 1
    print(f"{target}: {len(data) / 1e6:.1f} MB, {len(node_names(data))} operators of ONNX opset {OPSET}")
    return 0
