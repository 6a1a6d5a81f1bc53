"""MediaPipe's hand in each picture of a folder, as JSON: the stem of the file to 21 pairs x, y in pixels.

    PYTHON benchmarks/mediapipe_hands.py FOLDER CONFIDENCE

Started by hands.py with a Python that has mediapipe before 0.10.30: it imports nothing of posecv. A picture without a
hand is left out.
"""

import json
import sys
from pathlib import Path

import cv2
from mediapipe.python.solutions.hands import Hands

found = {}
with Hands(static_image_mode=True, max_num_hands=1, min_detection_confidence=float(sys.argv[2])) as hands:
    for path in Path(sys.argv[1]).iterdir():
        frame = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
        height, width = frame.shape[:2]
        for hand in hands.process(frame).multi_hand_landmarks or ():
            # Its 0 and 1 are the picture's edges, ours is the centre of the first pixel.
            found[path.stem] = [(point.x * width - 0.5, point.y * height - 0.5) for point in hand.landmark]
json.dump(found, sys.stdout)
