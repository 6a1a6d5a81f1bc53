"""`posecv smooth`: smooth the motion of a recording, without delay.

    posecv people -i run.mp4 --json run.jsonl --track
    posecv smooth run.jsonl -o smooth.jsonl

It reads what `--json FILE.jsonl` writes, and writes the same.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from posecv.app.commands import CommandParser, run
from posecv.errors import InputError, UsageError

__all__ = ["main"]


def main(argv: Sequence[str] | None = None, prog: str = "posecv smooth") -> int:
    """Read, smooth and write a file of JSON lines."""
    parser = CommandParser(prog, "Smooth the people of a recording: outliers out, short gaps filled, no delay.")
    parser.add_argument("recording", type=Path, help="what --json file.jsonl wrote, best with --track")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="another .jsonl file")
    parser.add_argument("--cutoff", type=float, default=6.0, metavar="HZ", help="lower is smoother (6)")
    parser.add_argument("--order", type=int, default=4, metavar="N", help="of the filter: 2 or 4 (4)")
    parser.add_argument("--gap", type=float, default=0.12, metavar="SECONDS", help="fill gaps up to this (0.12)")
    return run(parser, argv, _work)


def _work(options: argparse.Namespace) -> int:
    from posecv.outputs.files import prepare_files
    from posecv.outputs.growing import JsonLines
    from posecv.outputs.reading import read_json_lines
    from posecv.steps.recordings import smooth_recording

    if options.output.suffix.lower() != ".jsonl":
        raise UsageError(f"output={options.output} is not a file name with the suffix .jsonl")
    prepare_files([options.output], [options.recording])
    results = smooth_recording(
        read_json_lines(options.recording), cutoff=options.cutoff, order=options.order, gap=options.gap
    )
    if not results:
        raise InputError(f"{options.recording} is empty")
    with JsonLines(options.output) as out:
        for result in results:
            out.write(result)
    print(f"{options.output}: {len(results)} frames")
    return 0
