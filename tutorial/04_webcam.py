"""Find one person's keypoints in front of a webcam with a Caffe network, cv2 and numpy.

    BODY="-p ../models/light_body/pose.prototxt -m ../models/light_body/pose.caffemodel"
    python 04_webcam.py $BODY -i 0 [--device cuda]

This is 01_one_person.py in a loop, with the frame rate. -i takes the number of a camera or the path of a video. To end
it, press q or Escape, close the window, or press Ctrl-C.
"""

import argparse
import os
import re
import sys
import time
from types import ModuleType

import cv2
import numpy as np

# OpenPose's COCO layout; 01_one_person.py has the names. A limb joins two keypoints, given by their indices.
KEYPOINTS = 18
LIMBS = ((1, 2), (2, 3), (3, 4), (1, 5), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11), (11, 12), (12, 13),
         (1, 0), (0, 14), (14, 16), (0, 15), (15, 17))  # fmt: skip
NET_HEIGHT = 256  # a multiple of 16; 368, as in OpenPose's training, finds smaller people but takes twice as long
STRIDE = 8  # the network halves its input three times, so a cell of its maps covers 8 x 8 input pixels
THRESHOLD = 0.1  # a weaker maximum is noise: the keypoint is hidden or outside the image
WINDOW = "pose"


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
    """Maps (C, h, w) -> keypoints (18, 3): x, y in network pixels, and score; zeros where missing."""
    keypoints = np.zeros((KEYPOINTS, 3))
    for keypoint, heatmap in zip(keypoints, maps[:KEYPOINTS], strict=True):
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


def no_window(gui: ModuleType) -> str:
    """The reason why no window can open, or "". Do not try imshow: without a display Qt ends the program."""
    if re.search(r"GUI:\s*NONE", gui.getBuildInformation()):
        return "this OpenCV has no windows: pip uninstall opencv-python-headless, pip install 'opencv-python>=4.8,<6'"
    if sys.platform != "linux" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        return ""
    return "no display (DISPLAY is not set): run this on a desktop, or run 01_one_person.py, which writes a file"


def window_is_closed(gui: ModuleType) -> bool:
    """Whether the user closed the window: OpenCV returns a number below 1, or raises if it uses Qt."""
    try:
        return gui.getWindowProperty(WINDOW, cv2.WND_PROP_VISIBLE) < 1
    except cv2.error:
        return True


def show(net: cv2.dnn.Net, camera: cv2.VideoCapture, gui: ModuleType) -> int:
    """Show the camera's frames with keypoints until the user or the video ends; returns how many were shown."""
    count, rate, then = 0, 0.0, time.perf_counter()
    try:
        while True:
            arrived, frame = camera.read()
            if not arrived:
                break
            blob, scale = preprocess(frame)
            net.setInput(blob)
            keypoints = decode(net.forward()[0])  # of maps (57, H / 8, W / 8)
            # Back to frame pixels. cv2.resize aligns the edges of pixels, not their centres; hence the half pixel.
            keypoints[..., :2] = (keypoints[..., :2] + 0.5) / scale
            shown = draw(frame, keypoints)
            now = time.perf_counter()
            rate, then = 0.9 * (rate or 1 / (now - then)) + 0.1 / (now - then), now  # a running mean
            cv2.putText(shown, f"{rate:.1f} fps", (10, 30), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (255, 255, 255), 2)
            gui.imshow(WINDOW, shown)
            count += 1
            # waitKey runs the window. imshow would open a closed window again.
            if gui.waitKey(1) & 0xFF in (ord("q"), 27) or window_is_closed(gui):
                break
    except KeyboardInterrupt:
        pass
    finally:  # otherwise the camera stays busy for the next program
        camera.release()
        gui.destroyAllWindows()
    return count


def main(argv: list[str] | None = None, gui: ModuleType = cv2) -> None:
    parser = argparse.ArgumentParser(usage=argparse.SUPPRESS)  # without the usage an error is one line; exit code 2
    for flag, name in (("-p", "--prototxt"), ("-m", "--model")):
        parser.add_argument(flag, name, required=True)
    parser.add_argument("-i", "--input", default="0", help="number of a camera, or path of a video; default: 0")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    args = parser.parse_args(argv)
    network, read = (args.prototxt, args.model), getattr(cv2.dnn, "readNetFromCaffe", None)
    if read is None:  # OpenCV 5 has no Caffe importer; it reads ONNX
        network, read = (os.path.splitext(args.model)[0] + ".onnx",), cv2.dnn.readNetFromONNX
        print(f"OpenCV 5 reads ONNX, not Caffe: python -m posecv.convert {args.prototxt} {args.model} makes the file")
    for path in network:
        if not os.path.isfile(path):
            parser.error(f"no such file: {path}")
    if problem := no_window(gui):
        parser.error(problem)
    net = read(*network)
    if args.device == "cuda":  # check first: PyPI's wheels have no CUDA, and forward() would fail or use the CPU
        if cv2.dnn.DNN_TARGET_CUDA not in cv2.dnn.getAvailableTargets(cv2.dnn.DNN_BACKEND_CUDA):
            parser.error("this OpenCV has no CUDA, or finds no NVIDIA GPU: leave --device out")
        net.setPreferableBackend(cv2.dnn.DNN_BACKEND_CUDA)
        net.setPreferableTarget(cv2.dnn.DNN_TARGET_CUDA)

    net.setInput(preprocess(np.zeros((NET_HEIGHT, NET_HEIGHT, 3), np.uint8))[0])
    if (count := len(net.forward()[0])) not in (19, 57):  # 19: heatmaps alone
        parser.error(f"this network gives {count} maps, not the 57 of OpenPose's COCO layout")

    if not show(net, cv2.VideoCapture(int(args.input) if args.input.isdigit() else args.input), gui):
        parser.error(f"no frame from {args.input}: it does not exist, another program uses it, or access is denied")


if __name__ == "__main__":
    main()

# On purpose different from widely copied code: the frame keeps its aspect ratio, the input is BGR as v / 256 - 0.5,
# and a keypoint is the centroid at the maximum of the enlarged map. The program checks that a window can open, the
# close button works, and the camera is released. With several people in view, the maxima may belong to different
# people: paste decode, draw and what they need from 02_many_people.py. The package's webcam_pose.py does both, shows
# every camera frame even if the network is slow, and knows other layouts and devices.
