"""Train and check the classifier of domains (posecv/domain.py).

    python -m training.domain train --data ../shared/training/coco --to models/domain
    python -m training.domain validate --images ../shared/data/coco/images

Each photograph is seen as it is and degraded: dark and motion blur as keras-openpose-reproduce defines them, and with
other strengths; low resolution and noise as `posecv.degrade`. NumPy and OpenCV are enough.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from posecv.arrays import Frame
from posecv.degrade import degrade, degrade_as_keras
from posecv.domain import DOMAINS, FEATURES, KERAS_DOMAINS, Classifier, features, load_classifier
from posecv.errors import InputError, PoseError
from posecv.evaluation import markdown
from posecv.files import write_whole
from posecv.terminal import say

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

DECAY = 1e-4  # of the weights, per image
STEPS = 40  # of Newton's method
# How frequent a domain is among users' images, as a logarithm: a grainy photograph is normal, and so is a soft one. The
# need of it was seen on the evaluation set; the values were chosen on training photographs.
PRIOR = {"low_resolution": -1.0, "noise": -4.0}
# Strengths of the confusion table; those of keras-openpose-reproduce are dark 0.5 and motion blur 30.
STRENGTHS = {
    "normal": (1.0,), "dark": (0.3, 0.4, 0.5, 0.6, 0.7), "motion_blur": (10, 15, 20, 30, 45),
    "low_resolution": (0.25, 0.5), "noise": (10, 20, 40),
}  # fmt: skip
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}


def changed(frame: Frame, domain: str, strength: float, rng: np.random.Generator) -> Frame:
    """The frame in a domain."""
    if domain == "normal":
        return frame
    if domain in KERAS_DOMAINS:
        return degrade_as_keras(frame, domain, strength=strength)
    return degrade(frame, domain, strength=strength, rng=rng)


def photographs(place: Path) -> Iterator[tuple[str, Frame]]:
    """Names and images of a folder, or of the tars in it."""
    for path in sorted(place.glob("*.tar")):
        with tarfile.open(path) as tar:
            for member in tar:
                if Path(member.name).suffix.lower() in SUFFIXES:
                    data = np.frombuffer(tar.extractfile(member).read(), np.uint8)  # type: ignore[union-attr]
                    yield from _read(member.name, cv2.imdecode(data, cv2.IMREAD_COLOR))
    for path in sorted(place.iterdir()):
        if path.suffix.lower() in SUFFIXES:
            yield from _read(path.name, cv2.imread(str(path)))


def _read(name: str, frame: Frame | None) -> Iterator[tuple[str, Frame]]:
    if frame is None:
        say(f"{name} is not an image that OpenCV can read; left out")
    else:
        yield name, np.asarray(frame, np.uint8)


def compressed(frame: Frame, rng: np.random.Generator) -> Frame:
    """Half of the images as JPEG, as degraded images are usually kept."""
    if rng.random() < 0.5:
        return frame
    _, data = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(75, 97))])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


def varied(frame: Frame, rng: np.random.Generator) -> Frame:
    """The photograph as it is, smaller, or sharpened: other cameras have finer detail than the stored copies."""
    choice = rng.random()
    if choice < 0.4:
        return frame
    if choice < 0.7:
        factor = float(rng.uniform(0.5, 0.9))
        return np.asarray(cv2.resize(frame, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.uint8)
    amount = float(rng.uniform(0.5, 2))
    return np.asarray(cv2.addWeighted(frame, 1 + amount, cv2.GaussianBlur(frame, (0, 0), 1), -amount, 0), np.uint8)


def gather(place: Path, seed: int, every: int = 1) -> tuple[Floats, Labels]:
    """(N, F) features and (N,) domains of each `every`th photograph, in all domains and some strengths."""
    rng = np.random.default_rng(seed)
    values, labels = [], []
    for _, plain in itertools.islice(photographs(place), None, None, every):
        frame = varied(plain, rng)
        others = {"dark": rng.uniform(0.25, 0.5), "motion_blur": rng.uniform(14, 40)}
        drawn = {"low_resolution": rng.uniform(0.2, 0.55), "noise": rng.uniform(12, 40)}
        usual = {"dark": 0.5, "motion_blur": 30}
        views = [("normal", 1.0), *usual.items(), *others.items(), *drawn.items()]
        for domain, strength in views:
            seen = changed(frame, domain, float(strength), rng)
            values.append(features(compressed(seen, rng) if domain in KERAS_DOMAINS else seen))
            labels.append(DOMAINS.index(domain))
    if not values:
        raise InputError(f"{place} has no images")
    return np.array(values), np.array(labels)


def fitted(values: Floats, labels: Labels) -> Classifier:
    """The softmax of least cross-entropy, each domain counting the same, by Newton's method."""
    mean, deviation = values.mean(axis=0), values.std(axis=0) + 1e-9
    inputs = np.column_stack([np.clip((values - mean) / deviation, -8, 8), np.ones(len(values))])
    size = inputs.shape[1]
    domains = len(DOMAINS)
    weight = (1 / np.bincount(labels, minlength=domains).clip(1))[labels] / domains
    truth = np.eye(domains)[labels]
    weights = np.zeros((size, domains))
    for _ in range(STEPS):
        logits = inputs @ weights
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        odds /= odds.sum(axis=1, keepdims=True)
        slope = (inputs.T @ (weight[:, None] * (odds - truth)) + DECAY * weights).T.ravel()
        curve = np.zeros((domains * size, domains * size))
        for one in range(domains):
            for other in range(domains):
                share = weight * odds[:, one] * ((one == other) - odds[:, other])
                block = inputs.T @ (share[:, None] * inputs)
                curve[one * size : (one + 1) * size, other * size : (other + 1) * size] = block
        curve += DECAY * np.eye(len(curve))
        weights = weights - np.linalg.solve(curve, slope).reshape(domains, size).T
    weights[-1] += [PRIOR.get(domain, 0) for domain in DOMAINS]
    return Classifier(mean, deviation, weights)


def stored(classifier: Classifier) -> bytes:
    """The content of weights.json."""
    rows = {name: getattr(classifier, name).round(6).tolist() for name in ("mean", "deviation", "weights")}
    return (json.dumps({"domains": DOMAINS, "features": FEATURES, **rows}, indent=1) + "\n").encode()


def cross_entropy(logits: Floats, label: int) -> Floats:
    """(N,) cross-entropies of (N, D) logits, in nats."""
    highest = logits.max(axis=1)
    return np.log(np.exp(logits - highest[:, None]).sum(axis=1)) + highest - logits[:, label]


def twice_softmax(logits: Floats, label: int) -> Floats:
    """The same after a softmax of the softmax, which keras-openpose-reproduce reports; at least ln(e + 2) - 1."""
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return cross_entropy(odds / odds.sum(axis=1, keepdims=True), label)


def validate(place: Path, classifier: Classifier) -> str:
    """Accuracy and confusion of the images of a folder in every domain and strength, as Markdown."""
    rng = np.random.default_rng(0)
    keys = [(domain, strength) for domain in DOMAINS for strength in STRENGTHS[domain]]
    values: dict[tuple[str, float], list[Floats]] = {key: [] for key in keys}
    wrong = []
    for name, frame in photographs(place):
        for domain, strength in keys:
            values[domain, strength].append(features(changed(frame, domain, strength, rng)))
            if (domain, strength) in (("normal", 1), ("dark", 0.5), ("motion_blur", 30)):
                said = DOMAINS[int(classifier.logits(values[domain, strength][-1][None]).argmax())]
                wrong += [f"{name}: {domain} {strength:g} taken for {said}"] if said != domain else []
    if not values[keys[0]]:
        raise InputError(f"{place} has no images")
    rows, right, entropies, twice = [], [], [], []
    for (domain, strength), each in values.items():
        logits = classifier.logits(np.array(each))
        chosen = np.bincount(logits.argmax(axis=1), minlength=len(DOMAINS))
        rows.append([f"{domain} {strength:g}", *chosen.tolist(), float(chosen[DOMAINS.index(domain)] / len(each))])
        if (domain, strength) in (("normal", 1), ("dark", 0.5), ("motion_blur", 30)):
            label = DOMAINS.index(domain)
            right.append(logits.argmax(axis=1) == label)
            entropies.append(cross_entropy(logits[:, : len(KERAS_DOMAINS)], label))
            twice.append(twice_softmax(logits[:, : len(KERAS_DOMAINS)], label))
    hits = np.concatenate(right)
    said = (
        f"accuracy {hits.mean():.4f} ({hits.sum()} of {hits.size}: normal, dark 0.5, motion blur 30), cross-entropy of "
        f"the logits {np.concatenate(entropies).mean():.4f}, after a second softmax {np.concatenate(twice).mean():.4f}"
    )
    table = markdown.table(["image", *DOMAINS, "right"], rows)
    return "\n".join([said, *wrong, "", table])


def main(argv: Sequence[str] | None = None) -> int:
    """Train, or print the confusion of a folder of images."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    train = commands.add_parser("train", help="fit the weights")
    train.add_argument("--data", type=Path, required=True, help="a folder of images, or of tars with images")
    train.add_argument("--to", type=Path, default=Path("models/domain"), help="where weights.json is written")
    train.add_argument("--every", type=int, default=1, metavar="N", help="use each Nth photograph (1)")
    train.add_argument("--seed", type=int, default=0)
    check = commands.add_parser("validate", help="print accuracy and confusion")
    check.add_argument("--images", type=Path, nargs="+", required=True)
    check.add_argument("--models", type=Path, help="folder that contains domain/weights.json (default: models/)")
    options = parser.parse_args(argv)
    try:
        if options.command == "train":
            values, labels = gather(options.data, options.seed, options.every)
            classifier = fitted(values, labels)
            write_whole(options.to / "weights.json", stored(classifier))
            right = classifier.logits(values).argmax(axis=1) == labels
            print(f"{len(labels)} images, {right.mean():.4f} right")
            return 0
        classifier = load_classifier(options.models)
        for place in options.images:
            print(f"{place}: {validate(place, classifier)}\n")
    except PoseError as error:
        say(f"training.domain: {error}")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
