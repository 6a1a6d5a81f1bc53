"""Speed and accuracy: programs to run from the repository's folder, `python -m benchmarks.accuracy`."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
