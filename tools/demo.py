"""`make demo`: everybody in the samples, or where weights come from while there are none."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from posecv.errors import ModelError, PoseError
from posecv.models import Model, Row, find_model, manifest
from posecv.opencv import require_opencv
from posecv.terminal import ends_unread

REPOSITORY = Path(__file__).resolve().parent.parent
OUTPUT = "demo_output"
NO_BODY = "hand.jpg"  # a hand fills it


@ends_unread
def main() -> int:
    """Run the demo; the exit code is the script's, 0 where there is nothing to run."""
    try:
        require_opencv()
        rows = body_rows(manifest())
    except PoseError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    model = first_found([row.name for row in rows])
    if model is None:
        print(advice(rows))
        return 0
    records = f"{OUTPUT}/people.jsonl"
    words = ["run_multi_pose.py", "--model", model.name, "-i", *samples(), "-o", OUTPUT, "--json", records]
    print("python", *words, flush=True)
    code = subprocess.run([sys.executable, *words], cwd=REPOSITORY).returncode
    if code == 0:
        print(f"The pictures and the film are in {OUTPUT}/, the keypoints in {records}.")
        print(f"Model {model.name}, licence: {model.licence}.")
    return code


def samples() -> list[str]:
    """The photographs and the clip in which there are whole people."""
    files = sorted((REPOSITORY / "samples").glob("*.*"))
    return [f"samples/{file.name}" for file in files if file.suffix in (".jpg", ".mp4") and file.name != NO_BODY]


def body_rows(rows: Sequence[Row]) -> list[Row]:
    """The models that find many people's bodies, those for any use first."""
    bodies = [row for row in rows if row.skeleton is not None and row.skeleton.paf_channels]
    return sorted(bodies, key=lambda row: row.use != "any")


def first_found(names: Sequence[str]) -> Model | None:
    """The first model whose files are on this computer."""
    for name in names:
        try:
            return find_model(name)
        except ModelError:
            continue
    return None


def advice(rows: Sequence[Row]) -> str:
    """Where the weights of these models come from."""
    fetched = {row.weights: row for row in reversed(rows) if row.mirrors}
    lines = [
        f"    ./getModels.sh {row.weights:<10} {_megabytes(row):<8} {row.use} use: {row.licence}"
        for row in reversed(fetched.values())
    ]
    return "\n".join(
        [
            "No model's weights are on this computer yet, so there is nobody to show. One command fetches them:",
            *lines,
            "A caffemodel that you have already goes to models/NAME/pose.caffemodel. Then run make demo again.",
        ]
    )


def _megabytes(row: Row) -> str:
    return f"{row.bytes / 1e6:.0f} MB" if row.bytes else ""


if __name__ == "__main__":
    sys.exit(main())
