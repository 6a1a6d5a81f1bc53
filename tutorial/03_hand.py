"""The 21 keypoints of a hand in a picture, with OpenPose's hand network, cv2 and numpy.

    python 03_hand.py -p pose.prototxt -m pose.caffemodel -i hand.jpg [--box 120,80,200,200] [--left] [-o result.png]

As in 01_one_person.py each keypoint is the brightest spot of its heatmap. New is the way in: the network wants a hand
that fills its input, so a box is cut out and enlarged; and it knows right hands, so a left one goes through a mirror.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

# OpenPose's hand layout: the wrist, then four keypoints a finger from root to tip; the 22nd map is the background.
FINGERS = ("thumb", "index", "middle", "ring", "little")
NAMES = ("wrist", *(f"{finger}_{bone}" for finger in FINGERS for bone in range(1, 5)))
LIMBS = tuple((0 if end % 4 == 1 else end - 1, end) for end in range(1, 21))
COLORS = ((0, 0, 220), (0, 200, 200), (0, 200, 0), (220, 120, 0), (200, 0, 200))  # blue, green, red of each finger
NET_HEIGHT = 368  # as OpenPose was trained
STRIDE = 8  # the network halves its input three times: a cell of its maps stands for 8 x 8 of its pixels
THRESHOLD = 0.2  # weaker keypoints are printed, as OpenPose reports them, but not drawn


def cut(frame: np.ndarray, box: tuple[int, int, int, int]) -> tuple[np.ndarray, int, int]:
    """The square round the centre of a box x, y, width, height that holds it, and its corner; black off the picture."""
    x, y, width, height = box
    side = max(width, height, 0)
    x, y = x + (width - side) // 2, y + (height - side) // 2
    square = np.zeros((side, side, 3), np.uint8)
    part = frame[max(y, 0) : max(y + side, 0), max(x, 0) : max(x + side, 0)]
    top, left = max(-y, 0), max(-x, 0)
    square[top : top + part.shape[0], left : left + part.shape[1]] = part
    return square, x, y


def preprocess(frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Picture (h, w, 3) -> blob (1, 3, H, W), and network pixels per picture pixel in x and y."""
    height, width = frame.shape[:2]
    # The proportions stay; the width comes in steps of 16 and ends at 16:9, as in OpenPose. The rest is black.
    net_width = max(16, 16 * int(min(NET_HEIGHT * 16 / 9, NET_HEIGHT * width / height) / 16 + 0.5))
    fit = min(net_width / width, NET_HEIGHT / height)
    w, h = max(1, round(width * fit)), max(1, round(height * fit))
    small = cv2.resize(frame, (w, h), interpolation=cv2.INTER_AREA if fit < 1 else cv2.INTER_CUBIC)
    padded = cv2.copyMakeBorder(small, 0, NET_HEIGHT - h, 0, net_width - w, cv2.BORDER_CONSTANT, value=(0, 0, 0))
    # Picture, factor, size (width first), mean: (v - 128) / 256 at the size it has. No swapRB: the network learned BGR,
    # as imread gives it. No crop: it would cut the sides off.
    blob = cv2.dnn.blobFromImage(padded, 1 / 256, (net_width, NET_HEIGHT), (128, 128, 128), swapRB=False, crop=False)
    return blob, np.array([w / width, h / height])


def decode(maps: np.ndarray) -> np.ndarray:
    """Maps (22, h, w) -> keypoints (21, 3): x, y in network pixels and score; all 21, however weak."""
    keypoints = np.zeros((len(NAMES), 3))
    for keypoint, heatmap in zip(keypoints, maps[: len(NAMES)], strict=True):
        # The brightest cell would be right to 8 network pixels, and half a cell too far up and left. The smooth
        # curve through the cells knows better.
        fine = cv2.resize(heatmap, None, fx=STRIDE, fy=STRIDE, interpolation=cv2.INTER_CUBIC)
        _, score, _, (x, y) = cv2.minMaxLoc(fine)
        keypoint[:] = x, y, score
    return keypoints


def draw(frame: np.ndarray, keypoints: np.ndarray) -> np.ndarray:
    """A copy of the picture with the fingers, each in its colour."""
    drawn, thickness = frame.copy(), max(2, max(frame.shape) // 200)
    points = keypoints[:, :2].round().astype(int).tolist()
    for index, (start, end) in enumerate(LIMBS):
        if min(keypoints[start, 2], keypoints[end, 2]) > THRESHOLD:
            cv2.line(drawn, points[start], points[end], COLORS[index // 4], thickness, cv2.LINE_AA)
    return cv2.addWeighted(drawn, 0.7, frame, 0.3, 0)  # the picture shines through


def box(text: str) -> tuple[int, int, int, int]:
    x, y, width, height = (int(number) for number in text.split(","))
    return x, y, width, height


def main() -> None:
    parser = argparse.ArgumentParser(usage=argparse.SUPPRESS)  # without usage an error is one line, exit code 2
    for flag, name in (("-p", "--prototxt"), ("-m", "--model"), ("-i", "--input")):
        parser.add_argument(flag, name, required=True)
    parser.add_argument("--box", type=box, metavar="X,Y,W,H", help="where the hand is; default: it fills the picture")
    parser.add_argument("--left", action="store_true", help="it is a left hand")
    parser.add_argument("-o", "--output", help="default: NAME_pose.png in the current folder")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    args = parser.parse_args()
    network, read = (args.prototxt, args.model), getattr(cv2.dnn, "readNetFromCaffe", None)
    if read is None:  # as in OpenCV 5, which reads ONNX
        network, read = (str(Path(args.model).with_suffix(".onnx")),), cv2.dnn.readNetFromONNX
        print(f"OpenCV {cv2.__version__} reads no Caffe pairs, but {network[0]}, from python -m posecv.convert")
    for path in (*network, args.input):
        if not Path(path).is_file():
            parser.error(f"no such file: {path}")
    if (frame := cv2.imread(args.input)) is None:
        parser.error(f"not a picture that OpenCV can read: {args.input}")
    net = read(*network)
    if args.device == "cuda":  # ask first: without CUDA, as in PyPI's wheels, the calls do nothing or forward() fails
        if cv2.dnn.DNN_TARGET_CUDA not in cv2.dnn.getAvailableTargets(cv2.dnn.DNN_BACKEND_CUDA):
            parser.error("this OpenCV has no CUDA, or finds no NVIDIA GPU: leave --device out")
        net.setPreferableBackend(cv2.dnn.DNN_BACKEND_CUDA)
        net.setPreferableTarget(cv2.dnn.DNN_TARGET_CUDA)

    hand, left, top = cut(frame, args.box) if args.box else (frame, 0, 0)
    if not hand.any():
        parser.error("there is nothing of the picture in the box")
    blob, scale = preprocess(cv2.flip(hand, 1) if args.left else hand)
    net.setInput(blob)
    maps = net.forward()[0]  # (22, H / 8, W / 8)
    if len(maps) != 22:
        parser.error(f"this network gives {len(maps)} maps, not the 22 of OpenPose's hand layout")
    keypoints = decode(maps)
    # The same way back. cv2.resize keeps the edges of pixels in place, not their centres: hence the half pixels.
    keypoints[:, :2] = (keypoints[:, :2] + 0.5) / scale - 0.5
    if args.left:
        keypoints[:, 0] = hand.shape[1] - 1 - keypoints[:, 0]
    keypoints[:, :2] = (keypoints[:, :2] + [left, top]).clip(0, [frame.shape[1] - 1, frame.shape[0] - 1])
    for name, (x, y, score) in zip(NAMES, keypoints, strict=True):
        print(f"{name:15} {x:7.1f} {y:7.1f} {score:6.3f}")
    output = args.output or f"{Path(args.input).stem}_pose.png"
    if not (cv2.haveImageWriter(output) and cv2.imwrite(output, draw(frame, keypoints))):
        parser.error(f"cannot write {output}")
    print(f"drawn into {output}")


if __name__ == "__main__":
    main()

# On purpose unlike widely copied code: a box instead of the whole picture squashed, a mirror for left hands, BGR as v /
# 256 - 0.5, sides that are multiples of 16, the maximum of the enlarged map, 21 keypoints (the 22nd map is the
# background, no fingertip). The box of a hand follows from the arm: its centre a third of the forearm's length beyond
# the wrist, its side 1.5 times the forearm or 1.35 times the upper arm, whichever is more. The package posecv does the
# same and more: fractions of pixels in boxes, JSON, and clear words for files that do not fit.
