"""Find everybody's keypoints in an image with a Caffe network, cv2 and numpy. Read 01_one_person.py first.

    BODY="-p ../models/light_body/pose.prototxt -m ../models/light_body/pose.caffemodel"
    python 02_many_people.py $BODY -i ../samples/team.jpg [-o result.png] [--device cuda]

With several people a heatmap has several peaks, and it does not say which elbow belongs to which wrist. So the network
also returns part affinity fields (PAFs): vectors that point along each limb from its start to its end, and 0 elsewhere.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

# OpenPose's COCO layout: 18 heatmaps, one for the background, then a PAF for each limb: x in channel PAFS[limb], y in
# the next one.
NAMES = ("nose neck right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist right_hip right_knee "
         "right_ankle left_hip left_knee left_ankle right_eye left_eye right_ear left_ear").split()  # fmt: skip
LIMBS = ((1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11), (11, 12), (12, 13), (1, 0),
         (0, 14), (14, 16), (0, 15), (15, 17), (2, 16), (5, 17))  # fmt: skip
PAFS = (31, 39, 33, 35, 41, 43, 19, 21, 23, 25, 27, 29, 47, 49, 53, 51, 55, 37, 45)
NET_HEIGHT, STRIDE = 368, 8  # as in OpenPose's training; input pixels per cell of the maps, after three halvings
PEAK = 0.05  # a maximum above this is a peak (these are OpenPose's constants; other networks have their own)
ALONG = 0.05  # a sample of a PAF agrees with a limb if its component along the limb exceeds this
AGREE = 0.95  # two peaks may be connected if more than this share of the samples agrees
FEWEST, WEAKEST = 3, 0.4  # a person needs this many keypoints and this score per keypoint; less is noise


def preprocess(frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Image (h, w, 3) -> blob (1, 3, H, W), and network pixels per image pixel in x and y."""
    height, width = frame.shape[:2]
    # Keep the aspect ratio. As in OpenPose the width is a multiple of 16, up to 16:9; the rest is padded with black.
    net_width = max(16, 16 * int(min(NET_HEIGHT * 16 / 9, NET_HEIGHT * width / height) / 16 + 0.5))
    fit = min(net_width / width, NET_HEIGHT / height)
    w, h = max(1, round(width * fit)), max(1, round(height * fit))
    small = cv2.resize(frame, (w, h), interpolation=cv2.INTER_AREA if fit < 1 else cv2.INTER_CUBIC)
    padded = cv2.copyMakeBorder(small, 0, NET_HEIGHT - h, 0, net_width - w, cv2.BORDER_CONSTANT, value=(0, 0, 0))
    # Arguments: image, factor, size (width first), mean. Values become (v - 128) / 256. No swapRB: the network learned
    # BGR, which imread returns. No crop: it would cut off the sides.
    blob = cv2.dnn.blobFromImage(padded, 1 / 256, (net_width, NET_HEIGHT), (128, 128, 128), swapRB=False, crop=False)
    return blob, np.array([w / width, h / height])


def find_peaks(heatmap: np.ndarray) -> np.ndarray:
    """Heatmap (H, W) -> peaks (N, 3): x, y, score of every pixel that exceeds its eight neighbours."""
    ring = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], np.uint8)  # dilate takes the maximum of these neighbours
    peaks = (heatmap > PEAK) & (heatmap > cv2.dilate(heatmap, ring, borderType=cv2.BORDER_CONSTANT, borderValue=np.inf))
    # The centroid of the 7 x 7 pixels around it, weighted by their values, is finer and more stable than one pixel.
    weights, (rows, columns) = np.maximum(heatmap, 0), np.indices(heatmap.shape, np.float32)
    images = (weights, weights * columns, weights * rows)
    total, x, y = (cv2.blur(image, (7, 7), borderType=cv2.BORDER_CONSTANT)[peaks] for image in images)
    return np.column_stack([x / total, y / total, heatmap[peaks]])


def score_limb(field: np.ndarray, start: np.ndarray, end: np.ndarray) -> float:
    """How well a PAF (2, H, W) agrees with a limb from start to end: the mean of the agreeing samples, or 0."""
    vector, (height, width) = end - start, field.shape[1:]
    length = max(np.hypot(*vector), 1e-6)
    count = max(5, min(25, int(np.sqrt(5 * abs(vector).max()) + 0.5)))  # more samples on a longer limb
    x, y = (start + vector * np.arange(count)[:, None] / count + 0.5).astype(int).T
    samples = vector / length @ field[:, y.clip(0, height - 1), x.clip(0, width - 1)]  # components along the limb
    if (samples > ALONG).sum() / count > AGREE:
        return float(samples[samples > ALONG].mean())
    # Ends this close share a cell, where the field of a short limb fades. They may be connected, after all others.
    return PEAK + 1e-6 if 1e-6 < length < np.sqrt(width * height) / 150 else 0


def group(kinds: np.ndarray, peaks: np.ndarray, connections: list[tuple[float, float, int, int]]) -> np.ndarray:
    """Peaks and their connections -> people (N, 18, 3), best first; zeros where a keypoint is missing."""
    owner = np.arange(len(peaks))  # each peak starts as a person of its own
    people, scores = np.zeros((len(peaks), len(NAMES), 3)), peaks[:, 2].copy()
    people[owner, kinds] = peaks
    for _, score, a, b in sorted(connections, reverse=True):  # the best connection of all limbs first
        one, two = owner[a], owner[b]
        if one != two:
            if (people[one, :, 2] * people[two, :, 2]).any():
                continue  # both already have that keypoint, so an elbow gets one wrist and a wrist one elbow
            people[one], scores[one] = people[one] + people[two], scores[one] + scores[two]
            people[two], owner[owner == two] = 0, one
        scores[one] += score
    counts = (people[:, :, 2] > 0).sum(axis=1)
    kept = (counts >= FEWEST) & (scores >= WEAKEST * counts)
    return np.array(people[kept][np.argsort(-scores[kept])])


def decode(maps: np.ndarray) -> np.ndarray:
    """Maps (57, h, w) -> people (N, 18, 3): x, y in network pixels, and score."""
    fine = np.stack([cv2.resize(one, None, fx=STRIDE, fy=STRIDE, interpolation=cv2.INTER_CUBIC) for one in maps])
    found = [find_peaks(heatmap) for heatmap in fine[: len(NAMES)]]
    kinds, peaks = np.repeat(range(len(found)), [len(one) for one in found]), np.concatenate(found)
    connections = []
    for (start, end), channel in zip(LIMBS, PAFS, strict=True):
        for a in np.flatnonzero(kinds == start).tolist():
            for b in np.flatnonzero(kinds == end).tolist():
                if score := score_limb(fine[channel : channel + 2], peaks[a, :2], peaks[b, :2]):
                    connections.append((score + 0.1 * (peaks[a, 2] + peaks[b, 2]), score, a, b))
    return group(kinds, peaks, connections)


def draw(frame: np.ndarray, people: np.ndarray) -> np.ndarray:
    """A copy of the image with the people's limbs, each in the colour of its end."""
    drawn, thickness = frame.copy(), max(2, max(frame.shape) // 200)
    colors = cv2.applyColorMap(np.arange(0, 252, 14, dtype=np.uint8), cv2.COLORMAP_HSV).reshape(-1, 3).tolist()
    for keypoints in people:
        for start, end in LIMBS[:-2]:  # the last two, shoulder to ear, only help the grouping
            if keypoints[start, 2] and keypoints[end, 2]:
                one, two = keypoints[[start, end], :2].astype(int).tolist()
                cv2.line(drawn, one, two, colors[end], thickness, cv2.LINE_AA)
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
    if len(maps) != 57:
        parser.error(f"this network gives {len(maps)} maps, not the 57 of OpenPose's COCO layout")
    people = decode(maps)
    # Back to image pixels. cv2.resize aligns the edges of pixels, not their centres; hence the half pixel.
    people[..., :2] = ((people[..., :2] + 0.5) / scale).clip(0, [frame.shape[1] - 1, frame.shape[0] - 1])
    for number, keypoints in enumerate(people, start=1):
        for name, (x, y, score) in zip(NAMES, keypoints, strict=True):
            if score:
                print(f"person {number:2}  {name:15} {x:7.1f} {y:7.1f} {score:6.3f}")
    output = args.output or f"{Path(args.input).stem}_pose.png"
    if not (cv2.haveImageWriter(output) and cv2.imwrite(output, draw(frame, people))):
        parser.error(f"cannot write {output}")
    print(f"{len(people)} people, drawn into {output}")


if __name__ == "__main__":
    main()

# On purpose different from widely copied code: the input is BGR as v / 256 - 0.5 and keeps the aspect ratio; peaks are
# strict 3 x 3 maxima of the maps enlarged by 8, with a centroid (not one maximum per blob of a blurred map); a limb
# has 5 to 25 samples, by its length (not always 10); the connections of all limbs are sorted together, and no keypoint
# belongs to two people; an ear is joined to the shoulder of its own side; groups with few or weak keypoints are
# dropped. The package posecv finds the same people many times as fast, because it does not enlarge 57 maps. It uses
# each model's own constants, knows BODY_25 and MPI, and writes JSON.
