"""Find the 21 keypoints of a hand in an image with a Caffe network, cv2 and numpy.

    HAND="-p ../models/light_hand/pose.prototxt -m ../models/light_hand/pose.caffemodel"
    python 03_hand.py $HAND -i ../samples/hand.jpg [--box 20,60,240,180] [--left] [-o result.png]

As in 01_one_person.py each keypoint is the brightest pixel of its heatmap. The input differs: a hand must fill it, so a
box is cut out and resized; and the network learned right hands, so a left hand is mirrored.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

# OpenPose's hand layout: the wrist, then four keypoints per finger from root to tip; the 22nd map is the background.
FINGERS = ("thumb", "index", "middle", "ring", "little")
NAMES = ("wrist", *(f"{finger}_{bone}" for finger in FINGERS for bone in range(1, 5)))
LIMBS = tuple((0 if end % 4 == 1 else end - 1, end) for end in range(1, 21))
COLORS = ((0, 0, 220), (0, 200, 200), (0, 200, 0), (220, 120, 0), (200, 0, 200))  # blue, green, red of each finger
NET_HEIGHT = 160  # light_hand was trained at this height; OpenPose's hand network needs --net-height 368
STRIDE = 8  # the network halves its input three times, so a cell of its maps covers 8 x 8 input pixels
THRESHOLD = 0.2  # weaker keypoints are printed, as in OpenPose, but not drawn


def cut(frame: np.ndarray, box: tuple[int, int, int, int]) -> tuple[np.ndarray, int, int]:
    """The square around a box (x, y, width, height), and its top left corner; black outside the image."""
    x, y, width, height = box
    side = max(width, height, 0)
    x, y = x + (width - side) // 2, y + (height - side) // 2
    square = np.zeros((side, side, 3), np.uint8)
    part = frame[max(y, 0) : max(y + side, 0), max(x, 0) : max(x + side, 0)]
    top, left = max(-y, 0), max(-x, 0)
    square[top : top + part.shape[0], left : left + part.shape[1]] = part
    return square, x, y


def preprocess(frame: np.ndarray, net_height: int = NET_HEIGHT) -> tuple[np.ndarray, np.ndarray]:
    """Image (h, w, 3) -> blob (1, 3, H, W), and network pixels per image pixel in x and y."""
    height, width = frame.shape[:2]
    # Keep the aspect ratio. As in OpenPose the width is a multiple of 16, up to 16:9; the rest is padded with black.
    net_width = max(16, 16 * int(min(net_height * 16 / 9, net_height * width / height) / 16 + 0.5))
    fit = min(net_width / width, net_height / height)
    w, h = max(1, round(width * fit)), max(1, round(height * fit))
    small = cv2.resize(frame, (w, h), interpolation=cv2.INTER_AREA if fit < 1 else cv2.INTER_CUBIC)
    padded = cv2.copyMakeBorder(small, 0, net_height - h, 0, net_width - w, cv2.BORDER_CONSTANT, value=(0, 0, 0))
    # Arguments: image, factor, size (width first), mean. Values become (v - 128) / 256. No swapRB: the network learned
    # BGR, which imread returns. No crop: it would cut off the sides.
    blob = cv2.dnn.blobFromImage(padded, 1 / 256, (net_width, net_height), (128, 128, 128), swapRB=False, crop=False)
    return blob, np.array([w / width, h / height])


def decode(maps: np.ndarray) -> np.ndarray:
    """Maps (22, h, w) -> keypoints (21, 3): x, y in network pixels, and score; all 21, even weak ones."""
    keypoints = np.zeros((len(NAMES), 3))
    for keypoint, heatmap in zip(keypoints, maps[: len(NAMES)], strict=True):
        # The brightest cell is exact to 8 network pixels only, and half a cell too far up and left. Enlarging the map
        # with cubic interpolation finds the maximum between the cells.
        fine = cv2.resize(heatmap, None, fx=STRIDE, fy=STRIDE, interpolation=cv2.INTER_CUBIC)
        _, score, _, (x, y) = cv2.minMaxLoc(fine)
        keypoint[:] = x, y, score
    return keypoints


def draw(frame: np.ndarray, keypoints: np.ndarray) -> np.ndarray:
    """A copy of the image with the fingers, each in its colour."""
    drawn, thickness = frame.copy(), max(2, max(frame.shape) // 200)
    points = keypoints[:, :2].round().astype(int).tolist()
    for index, (start, end) in enumerate(LIMBS):
        if min(keypoints[start, 2], keypoints[end, 2]) > THRESHOLD:
            cv2.line(drawn, points[start], points[end], COLORS[index // 4], thickness, cv2.LINE_AA)
    return cv2.addWeighted(drawn, 0.7, frame, 0.3, 0)  # semi-transparent


def box(text: str) -> tuple[int, int, int, int]:
    x, y, width, height = (int(number) for number in text.split(","))
    return x, y, width, height


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(usage=argparse.SUPPRESS)  # without the usage an error is one line; exit code 2
    for flag, name in (("-p", "--prototxt"), ("-m", "--model"), ("-i", "--input")):
        parser.add_argument(flag, name, required=True)
    parser.add_argument("--box", type=box, metavar="X,Y,W,H", help="where the hand is; default: the whole image")
    parser.add_argument("--left", action="store_true", help="it is a left hand")
    parser.add_argument("--net-height", type=int, default=NET_HEIGHT, metavar="N", help="368 for OpenPose's network")
    parser.add_argument("-o", "--output", help="default: NAME_pose.png in the current folder")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    args = parser.parse_args(argv)
    network, read = (args.prototxt, args.model), getattr(cv2.dnn, "readNetFromCaffe", None)
    if read is None:  # OpenCV 5 has no Caffe importer; it reads ONNX
        network, read = (str(Path(args.model).with_suffix(".onnx")),), cv2.dnn.readNetFromONNX
        print(f"OpenCV 5 reads ONNX, not Caffe: python -m posecv.convert {args.prototxt} {args.model} makes the file")
    for path in (*network, args.input):
        if not Path(path).is_file():
            parser.error(f"no such file: {path}")
    if (frame := cv2.imread(args.input)) is None:
        parser.error(f"not an image that OpenCV can read: {args.input}")
    net = read(*network)
    if args.device == "cuda":  # check first: PyPI's wheels have no CUDA, and forward() would fail or use the CPU
        if cv2.dnn.DNN_TARGET_CUDA not in cv2.dnn.getAvailableTargets(cv2.dnn.DNN_BACKEND_CUDA):
            parser.error("this OpenCV has no CUDA, or finds no NVIDIA GPU: leave --device out")
        net.setPreferableBackend(cv2.dnn.DNN_BACKEND_CUDA)
        net.setPreferableTarget(cv2.dnn.DNN_TARGET_CUDA)

    hand, left, top = cut(frame, args.box) if args.box else (frame, 0, 0)
    if not hand.any():
        parser.error("the box is empty or outside the image")
    blob, scale = preprocess(cv2.flip(hand, 1) if args.left else hand, args.net_height)
    net.setInput(blob)
    maps = net.forward()[0]  # (22, H / 8, W / 8)
    if len(maps) != 22:
        parser.error(f"this network gives {len(maps)} maps, not the 22 of OpenPose's hand layout")
    keypoints = decode(maps)
    # Back to image pixels. cv2.resize aligns the edges of pixels, not their centres; hence the half pixels.
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

# On purpose different from widely copied code: a box is cut out (the image is not squashed); left hands are mirrored;
# the input is BGR as v / 256 - 0.5 with sides that are multiples of 16; a keypoint is the maximum of the enlarged map;
# there are 21 keypoints (the 22nd map is the background, not a fingertip). You can compute the box from an arm: its
# centre lies a third of the forearm's length beyond the wrist, its side is 1.5 times the forearm or 1.35 times the
# upper arm, whichever is longer. The package posecv does this (run_hand.py --from-body), pads as each model learned,
# and writes JSON.
