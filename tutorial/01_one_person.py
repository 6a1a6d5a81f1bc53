"""Find one person's keypoints in an image with a Caffe network, cv2 and numpy.

    BODY="-p ../models/light_body/pose.prototxt -m ../models/light_body/pose.caffemodel"
    python 01_one_person.py $BODY -i ../samples/player.jpg [-o result.png] [--device cuda]

The network returns a heatmap for each keypoint: a small image that is bright where the keypoint probably is. With one
person in the image, the brightest pixel is the keypoint. The four steps: preprocess, forward, decode, draw.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

# OpenPose's COCO layout: 18 heatmaps in this order, one for the background, then the fields of 02_many_people.py.
# Left and right are the person's. A limb joins two keypoints, given by their indices.
NAMES = ("nose neck right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist right_hip right_knee "
         "right_ankle left_hip left_knee left_ankle right_eye left_eye right_ear left_ear").split()  # fmt: skip
LIMBS = ((1, 2), (2, 3), (3, 4), (1, 5), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11), (11, 12), (12, 13),
         (1, 0), (0, 14), (14, 16), (0, 15), (15, 17))  # fmt: skip
NET_HEIGHT = 368  # as in OpenPose's training; 256 takes half the time and misses small people
STRIDE = 8  # the network halves its input three times, so a cell of its maps covers 8 x 8 input pixels
THRESHOLD = 0.1  # a weaker maximum is noise: the keypoint is hidden or outside the image


def preprocess(frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Image (h, w, 3) -> blob (1, 3, H, W), and network pixels per image pixel in x and y."""
    height, width = frame.shape[:2]
    # Keep the aspect ratio: the network never saw squashed people. The width is a multiple of 16, which the poolings
    # need, and at most 16:9 as in OpenPose. A wider image is scaled down and padded with black below.
    net_width = max(16, 16 * int(min(NET_HEIGHT * 16 / 9, NET_HEIGHT * width / height) / 16 + 0.5))
    fit = min(net_width / width, NET_HEIGHT / height)
    w, h = max(1, round(width * fit)), max(1, round(height * fit))
    # INTER_AREA averages pixels when it shrinks an image; other interpolations skip most pixels of a large photograph.
    small = cv2.resize(frame, (w, h), interpolation=cv2.INTER_AREA if fit < 1 else cv2.INTER_CUBIC)
    # With padding at the right and bottom only, the way back is one factor. OpenPose pads with black, light_body with
    # grey (128).
    padded = cv2.copyMakeBorder(small, 0, NET_HEIGHT - h, 0, net_width - w, cv2.BORDER_CONSTANT, value=(0, 0, 0))
    blob = cv2.dnn.blobFromImage(
        padded,
        scalefactor=1 / 256,  # applied after the mean: (v - 128) / 256 = v / 256 - 0.5, as in training
        size=(net_width, NET_HEIGHT),  # width first; the image already has this size, so nothing is stretched
        mean=(128, 128, 128),  # subtracted first, one value a channel
        swapRB=False,  # the network learned blue, green, red, which imread returns
        crop=False,  # True would cut off the sides
        ddepth=cv2.CV_32F,  # the default; CV_8U allows neither mean nor scalefactor
    )
    return blob, np.array([w / width, h / height])


def decode(maps: np.ndarray) -> np.ndarray:
    """Maps (C, h, w) -> keypoints (18, 3): x, y in network pixels, and score; zeros where missing."""
    keypoints = np.zeros((len(NAMES), 3))
    for keypoint, heatmap in zip(keypoints, maps[: len(NAMES)], strict=True):
        # The brightest cell is exact to 8 network pixels only, and half a cell too far up and left. Enlarging the map
        # with cubic interpolation finds the maximum between the cells.
        fine = cv2.resize(heatmap, None, fx=STRIDE, fy=STRIDE, interpolation=cv2.INTER_CUBIC)
        _, score, _, (x, y) = cv2.minMaxLoc(fine)
        if score > THRESHOLD:
            # The centroid of the 7 x 7 pixels around it, weighted by their values, is more stable than one pixel.
            left, top = max(x - 3, 0), max(y - 3, 0)
            weights = np.maximum(fine[top : y + 4, left : x + 4], 0)
            rows, columns = np.indices(weights.shape)
            x, y = left + np.average(columns, weights=weights), top + np.average(rows, weights=weights)
            keypoint[:] = x, y, score
    return keypoints


def draw(frame: np.ndarray, keypoints: np.ndarray) -> np.ndarray:
    """A copy of the image with the limbs, each in the colour of its end."""
    drawn, thickness = frame.copy(), max(2, max(frame.shape) // 200)
    colors = cv2.applyColorMap(np.arange(0, 252, 14, dtype=np.uint8), cv2.COLORMAP_HSV).reshape(-1, 3).tolist()
    points, found = keypoints[:, :2].astype(int).tolist(), keypoints[:, 2] > 0
    for start, end in LIMBS:
        if found[start] and found[end]:
            cv2.line(drawn, points[start], points[end], colors[end], thickness, cv2.LINE_AA)
    return cv2.addWeighted(drawn, 0.7, frame, 0.3, 0)  # semi-transparent


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(usage=argparse.SUPPRESS)  # without the usage an error is one line; exit code 2
    for flag, name in (("-p", "--prototxt"), ("-m", "--model"), ("-i", "--input")):
        parser.add_argument(flag, name, required=True)
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

    blob, scale = preprocess(frame)
    net.setInput(blob)
    maps = net.forward()[0]  # (57, H / 8, W / 8)
    if len(maps) not in (19, 57):  # 19: heatmaps alone
        parser.error(f"this network gives {len(maps)} maps, not the 57 of OpenPose's COCO layout")
    keypoints = decode(maps)
    # Back to image pixels. cv2.resize aligns the edges of pixels, not their centres; hence the half pixel.
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

# On purpose different from widely copied code: the input is BGR as v / 256 - 0.5 (not RGB, not 0 to 1); the image
# keeps its aspect ratio (it is not squashed to 368 x 368); the keypoint is the centroid at the maximum of the enlarged
# map (not a multiple of 8 pixels); there are 18 keypoints (the 19th map is the background). With several people in the
# image, the maxima may belong to different people: see 02_many_people.py. The package posecv does the same but
# enlarges the maps only around the maxima. It also knows BODY_25, MPI, hands and faces, each model's constants and
# padding, and writes JSON.
