"""Find hands with MediaPipe in its own process and Python, since it needs another OpenCV.

    PYTHON -m training.mediapipe_hands COUNT CONFIDENCE

is that process, for MediaPipe before 0.10.30. It reads images from standard input, each as eight bytes with the length
and then the file's content. For each it writes a line of JSON with at most COUNT hands: the side, as MediaPipe names it
for mirrored images, and 21 pairs x, y in pixels; the centre of the first pixel is 0, 0.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
LENGTH = 8  # bytes that say how long an image is

Hand = tuple[str, NDArray[np.float64]]  # "left" or "right", (21, 2)


class MediaPipeHands:
    """Looks for hands with the MediaPipe of another Python.

    Parameters
    ----------
    python : str
        The Python that has MediaPipe.
    count : int
        Maximum number of hands in an image.
    confidence : float
        MediaPipe's `min_detection_confidence`.
    """

    def __init__(self, python: str, count: int = 1, confidence: float = 0.5) -> None:
        command = [python, "-m", "training.mediapipe_hands", str(count), str(confidence)]
        pipe = subprocess.PIPE
        paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        found = os.environ | {"PYTHONPATH": paths}
        self.python = python
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, env=found)

    def __enter__(self) -> MediaPipeHands:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self.process.communicate()

    def __call__(self, frame: NDArray[np.uint8]) -> list[Hand]:
        """The hands of an image (h, w, 3), BGR, that is not mirrored."""
        content = cv2.imencode(".bmp", frame)[1].tobytes()
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(len(content).to_bytes(LENGTH, "little") + content)
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = b""
        if not line:
            raise RuntimeError(f"{self.python} does not run MediaPipe: it needs mediapipe before 0.10.30")
        other = {"Left": "right", "Right": "left"}
        return [(other[side], np.array(points)) for side, points in json.loads(line)]


def main() -> None:
    """Answer images until there are no more."""
    from mediapipe.python.solutions.hands import Hands

    count, confidence = int(sys.argv[1]), float(sys.argv[2])
    with Hands(static_image_mode=True, max_num_hands=count, min_detection_confidence=confidence) as hands:
        while length := sys.stdin.buffer.read(LENGTH):
            content = np.frombuffer(sys.stdin.buffer.read(int.from_bytes(length, "little")), np.uint8)
            frame = cv2.imdecode(content, cv2.IMREAD_COLOR)
            height, width = frame.shape[:2]
            found = hands.process(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))
            answer = []
            for hand, side in zip(found.multi_hand_landmarks or (), found.multi_handedness or (), strict=True):
                # Its 0 and 1 are the image's edges.
                points = [(point.x * width - 0.5, point.y * height - 0.5) for point in hand.landmark]
                answer.append((side.classification[0].label, points))
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
