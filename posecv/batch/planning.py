"""What a large batch would take: cores, hours, storage and price, from rates measured on this machine."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from posecv.arrays import Frame
from posecv.errors import UsageError
from posecv.estimators import Estimator
from posecv.sources.pictures import decode_picture

__all__ = ["Plan", "Rates", "measured", "plan"]

ROW = 176.0  # bytes of a person's row: COCO-18, float32, compressed
COMPACT_ROW = 98.0
LEAST = 3.0  # seconds of a measurement
SHARE = 0.9  # of the measured rate that a crew of workers reaches: shards end at different times
REQUESTS = 3.0  # of a store, an image: part of a listing, its size, its content


@dataclass(frozen=True)
class Rates:
    """Seconds on one core for each image.

    Attributes
    ----------
    decoding : float
        Decoding the file.
    people : float
        Finding the people in it.
    size : float
        Bytes of the file.
    """

    decoding: float
    people: float
    size: float

    @property
    def seconds(self) -> float:
        """All of it."""
        return self.decoding + self.people


@dataclass(frozen=True)
class Plan:
    """What a batch takes.

    Attributes
    ----------
    core_hours, hours : float
        Hours of one core, and of all of them at once.
    read, written : float
        Bytes.
    bandwidth : float
        Bytes a second that the store has to deliver.
    price : float
        Of the cores, in the currency of the price of a core hour.
    requests : float
        To an object store.
    """

    core_hours: float
    hours: float
    read: float
    written: float
    bandwidth: float
    price: float
    requests: float


def plan(
    pictures: float, rates: Rates, *, cores: int, people: float = 2.4, compact: bool = False, price: float = 0.0
) -> Plan:
    """What it takes to find the people in so many images.

    Parameters
    ----------
    pictures : float
    rates : Rates
        Of one image on one core.
    cores : int
        That work at once.
    people : float
        In an image, on average; one without anybody has a row too.
    compact : bool
        Whether rows are 16-bit integers.
    price : float
        Of a core for an hour.

    Examples
    --------
    >>> made = plan(1e9, Rates(0.004, 0.046, 150e3), cores=1000, price=0.02)
    >>> round(made.core_hours), round(made.hours, 1), round(made.price)
    (15432, 15.4, 309)
    """
    if pictures < 1 or cores < 1:
        raise UsageError(f"pictures={pictures:g} cores={cores}: give 1 or more of each")
    core_hours = pictures * rates.seconds / SHARE / 3600
    hours = core_hours / cores
    read = pictures * rates.size
    written = pictures * max(people, 1) * (COMPACT_ROW if compact else ROW)
    return Plan(core_hours, hours, read, written, read / (hours * 3600), core_hours * price, pictures * REQUESTS)


def measured(estimator: Estimator, images: Sequence[bytes], seconds: float = LEAST) -> Rates:
    """The rates of this machine, by image files that are like those to come.

    They are those of one core if `cv2.setNumThreads(1)` was called before the estimator was made. They are the medians
    of several rounds over all images, so that other work on the machine counts little.
    """
    frames = [decode_picture(Path("image"), image) for image in images]
    _round(estimator, images, frames)  # allocates memory
    rounds: list[tuple[float, float]] = []
    begin = time.perf_counter()
    while len(rounds) < 3 or time.perf_counter() - begin < seconds:
        rounds.append(_round(estimator, images, frames))
    decoding, people = np.median(rounds, axis=0) / len(images)
    return Rates(float(decoding), float(people), sum(map(len, images)) / len(images))


def _round(estimator: Estimator, images: Sequence[bytes], frames: Sequence[Frame]) -> tuple[float, float]:
    """Seconds of decoding all images, and of finding the people in all."""
    begin = time.perf_counter()
    for image in images:
        decode_picture(Path("image"), image)
    middle = time.perf_counter()
    for frame in frames:
        estimator(frame)
    return middle - begin, time.perf_counter() - middle
