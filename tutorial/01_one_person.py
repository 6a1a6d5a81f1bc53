"""One person's keypoints in a picture, with a Caffe network and nothing but cv2 and numpy.

    python 01_one_person.py -p pose.prototxt -m pose.caffemodel -i picture.jpg [-o result.png] [--device cuda]

For each keypoint the network paints a heatmap: a small picture, bright where it believes the keypoint to be. With one
person in view the keypoint is the brightest spot. Four steps, from top to bottom: preprocess, forward, decode, draw.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

# OpenPose's COCO layout: 18 heatmaps in this order, one for the background, then what 02_many_people.py reads.
# Left and right are the person's own. A limb joins two keypoints by their numbers.
NAMES = ("nose neck right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist right_hip right_knee "
         "right_ankle left_hip left_knee left_ankle right_eye left_eye right_ear left_ear").split()  # fmt: skip
LIMBS = ((1, 2), (2, 3), (3, 4), (1, 5), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11), (11, 12), (12, 13),
         (1, 0), (0, 14), (14, 16), (0, 15), (15, 17))  # fmt: skip
NET_HEIGHT = 368  # as OpenPose was trained; 256 takes half the time and loses small people
STRIDE = 8  # the network halves its input three times: a cell of its maps stands for 8 x 8 of its pixels
THRESHOLD = 0.1  # a weaker maximum is noise: the keypoint is hidden or outside the picture


def preprocess(frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Picture (h, w, 3) -> blob (1, 3, H, W), and network pixels per picture pixel in x and y."""
    height, width = frame.shape[:2]
    # The width follows the picture (the network never saw squashed people) in steps of 16, which its poolings divide
    # evenly, up to 16:9 as in OpenPose. What is wider gets smaller instead, with a black strip below.
    net_width = max(16, 16 * int(min(NET_HEIGHT * 16 / 9, NET_HEIGHT * width / height) / 16 + 0.5))
    fit = min(net_width / width, NET_HEIGHT / height)
    w, h = max(1, round(width * fit)), max(1, round(height * fit))
    # INTER_AREA averages the pixels it merges; the other kinds would skip most of a large photograph.
    small = cv2.resize(frame, (w, h), interpolation=cv2.INTER_AREA if fit < 1 else cv2.INTER_CUBIC)
    # Padding right and below leaves the way back a mere factor. Black is OpenPose's; light-coco learned with grey 128.
    padded = cv2.copyMakeBorder(small, 0, NET_HEIGHT - h, 0, net_width - w, cv2.BORDER_CONSTANT, value=(0, 0, 0))
    blob = cv2.dnn.blobFromImage(
        padded,
        scalefactor=1 / 256,  # multiplies what the mean left: (v - 128) / 256 = v / 256 - 0.5, as in training
        size=(net_width, NET_HEIGHT),  # width first; the picture has this size already, so nothing is stretched
        mean=(128, 128, 128),  # taken off first, one a channel
        swapRB=False,  # the network learned blue, green, red: what imread gives
        crop=False,  # True would fill the size by cutting off the sides
        ddepth=cv2.CV_32F,  # floating point, the default; CV_8U takes neither mean nor scalefactor
    )
    return blob, np.array([w / width, h / height])


def decode(maps: np.ndarray) -> np.ndarray:
    """Maps (C, h, w) -> keypoints (18, 3): x, y in network pixels and score; zeros where there is none."""
    keypoints = np.zeros((len(NAMES), 3))
    for keypoint, heatmap in zip(keypoints, maps[: len(NAMES)], strict=True):
        # The brightest cell would be right to 8 network pixels, and half a cell too far up and left. The smooth
        # curve through the cells knows better.
        fine = cv2.resize(heatmap, None, fx=STRIDE, fy=STRIDE, interpolation=cv2.INTER_CUBIC)
        _, score, _, (x, y) = cv2.minMaxLoc(fine)
        if score > THRESHOLD:
            # The mean position of the 7 x 7 pixels round it, weighted by their values, is steadier than one pixel.
            left, top = max(x - 3, 0), max(y - 3, 0)
            weights = np.maximum(fine[top : y + 4, left : x + 4], 0)
            rows, columns = np.indices(weights.shape)
            x, y = left + np.average(columns, weights=weights), top + np.average(rows, weights=weights)
            keypoint[:] = x, y, score
    return keypoints


def draw(frame: np.ndarray, keypoints: np.ndarray) -> np.ndarray:
    """A copy of the picture with the found limbs, each in the colour of its end."""
    drawn, thickness = frame.copy(), max(2, max(frame.shape) // 200)
    colors = cv2.applyColorMap(np.arange(0, 252, 14, dtype=np.uint8), cv2.COLORMAP_HSV).reshape(-1, 3).tolist()
    points, found = keypoints[:, :2].astype(int).tolist(), keypoints[:, 2] > 0
    for start, end in LIMBS:
        if found[start] and found[end]:
            cv2.line(drawn, points[start], points[end], colors[end], thickness, cv2.LINE_AA)
    return cv2.addWeighted(drawn, 0.7, frame, 0.3, 0)  # the picture shines through


def main() -> None:
    parser = argparse.ArgumentParser(usage=argparse.SUPPRESS)  # without usage an error is one line, exit code 2
    for flag, name in (("-p", "--prototxt"), ("-m", "--model"), ("-i", "--input")):
        parser.add_argument(flag, name, required=True)
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

    blob, scale = preprocess(frame)
    net.setInput(blob)
    maps = net.forward()[0]  # (57, H / 8, W / 8)
    if len(maps) not in (19, 57):  # 19: heatmaps alone
        parser.error(f"this network gives {len(maps)} maps, not the 57 of OpenPose's COCO layout")
    keypoints = decode(maps)
    # Back to the picture. cv2.resize keeps the edges of pixels in place, not their centres: hence the half pixel.
    keypoints[:, :2] = ((keypoints[:, :2] + 0.5) / scale).clip(0, [frame.shape[1] - 1, frame.shape[0] - 1])
    for name, (x, y, score) in zip(NAMES, keypoints, strict=True):
        if score > 0:
            print(f"{name:15} {x:7.1f} {y:7.1f} {score:6.3f}")
    output = args.output or f"{Path(args.input).stem}_pose.png"
    if not (cv2.haveImageWriter(output) and cv2.imwrite(output, draw(frame, keypoints))):
        parser.error(f"cannot write {output}")
    print(f"drawn into {output}")


if __name__ == "__main__":
    main()

# On purpose unlike widely copied code: BGR as v / 256 - 0.5 (not RGB, nor 0 to 1), the picture's proportions kept (not
# squashed to 368 x 368), the maximum of the enlarged map with a centroid (not a multiple of 8 pixels, up and left of
# it), 18 keypoints (the 19th map is the background). With several people each maximum may be somebody else's: go on to
# 02_many_people.py. The package posecv does the same, enlarging round the maxima only; it knows BODY_25, MPI, hands and
# faces, each model's own constants and padding, writes JSON, and names damaged files and pairs that do not match.
