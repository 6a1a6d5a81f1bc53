"""`posecv plan`: what a large batch would take.

    posecv plan --pictures 1e9 --cores 1000 --price 0.02
    posecv plan --pictures 2e6 -i photos/ --engine openvino

It measures how fast this machine is with one core, on images like those to come.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from posecv.app.options import plan_parser
from posecv.app.scripts import check_network, guarded
from posecv.errors import InputError

__all__ = ["main"]

MOST = 32  # images to measure with
PREFIXES = ((1e15, "PB"), (1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def main(argv: Sequence[str] | None = None, prog: str = "posecv plan") -> int:
    """Measure and multiply."""
    return guarded(plan_parser(prog), argv, _work)


def _work(options: argparse.Namespace) -> int:
    check_network(options)
    import cv2

    from posecv.app.config import many_config
    from posecv.batch.planning import measured, plan
    from posecv.models import models_folder
    from posecv.sources.pictures import find_files, is_film

    cv2.setNumThreads(1)
    estimator = many_config(options).estimator.build(lambda network: None)
    inputs = options.input or [str(models_folder().parent / "samples")]
    files = [path for path in find_files(inputs) if not is_film(path) and path.is_file()][:MOST]
    if not files:
        raise InputError(f"{', '.join(inputs)}: no images to measure with; give some like those to come with -i")
    rates = measured(estimator, [path.read_bytes() for path in files])
    given = {name: getattr(options, name) for name in ("cores", "people", "compact", "price")}
    made = plan(options.pictures, rates, **given)
    print(
        f"measured on one core of this machine, with {len(files)} images of {size(rates.size)}: "
        f"{1000 * rates.decoding:.1f} ms to decode an image, {1000 * rates.people:.1f} ms to find its people\n"
        f"{options.pictures:,.0f} images: {made.core_hours:,.0f} hours of one core, "
        f"{made.hours:,.1f} hours of {options.cores} cores\n"
        f"reads {size(made.read)} with {made.requests:,.0f} requests, {size(made.bandwidth)} a second; "
        f"writes {size(made.written)}"
    )
    if options.price:
        print(f"price of the cores at {options.price:g} an hour: {made.price:,.2f}")
    return 0


def size(count: float) -> str:
    """A number of bytes in words.

    >>> size(150e3), size(1.5e14)
    ('150.0 kB', '150.0 TB')
    """
    for factor, name in PREFIXES:
        if count >= factor:
            return f"{count / factor:.1f} {name}"
    return f"{count:.0f} bytes"
