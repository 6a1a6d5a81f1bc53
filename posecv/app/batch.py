"""`posecv batch`: many images and videos, on all cores of this machine or on a cluster of Ray.

    posecv batch photos/ -o out/
    posecv batch list.txt s3://films/*.mp4 -o s3://results/run1 --ray auto --track

It writes a Parquet file for each shard of the inputs (`posecv.batch.tables` describes them), and does only what is
missing when it is run again. `posecv.read_results("out/")` reads them.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from posecv import opencv
from posecv.app.options import Parser, multi_parser
from posecv.app.scripts import check_network, guarded
from posecv.errors import InputError, OutputError, UsageError
from posecv.terminal import say

if TYPE_CHECKING:
    from posecv.app.config import RunConfig
    from posecv.batch.foreman import Crew, Tally
    from posecv.batch.shards import Shard
    from posecv.batch.stores import Item, Store
    from posecv.batch.worker import Order
    from posecv.estimators.build import NetworkChoice

__all__ = ["main"]

RUN, ERRORS = "run.json", "errors.parquet"
# Options of run_multi_pose.py that have no part in rows.
NOT_HERE = (
    "images", "csv", "json", "angles", "coco_json", "heatmaps", "coco_annotations", "keypoint_scale", "json_form",
    "json_layout", "csv_form", "codec", "rate", "show_fps", "resume", "camera_size", "camera_fps", "alpha", "render",
    "colors", "labels", "verbose",
)  # fmt: skip
EVERY = 2.0, 30.0  # seconds between two lines of progress: in a terminal, elsewhere


def main(argv: Sequence[str] | None = None, prog: str = "posecv batch") -> int:
    """Cut, work off, and say what came of it."""
    words = list(sys.argv[1:] if argv is None else argv)
    first = next((index for index, word in enumerate(words) if word.startswith("-")), len(words))
    return guarded(_parser(prog), ["-i", *words] if first else words, _work)


def _parser(prog: str) -> Parser:
    parser = multi_parser(prog)
    parser.usage = "%(prog)s LIST|FOLDER|PATTERN|FILE ... -o FOLDER [options of posecv people]"
    parser.description = "Find the keypoints of everybody in many images and videos; write Parquet tables."
    group = parser.group("batch")
    group.add_argument("--workers", type=int, metavar="N", help="processes, or actors with --ray (a CPU each)")
    group.add_argument("--ray", metavar="ADDRESS", help="use a cluster of Ray: auto, local, or an address")
    group.add_argument("--compact", action="store_true", help="16-bit integers: half the size, to 0.1 pixels")
    group.add_argument("--shard-size", type=int, metavar="N", help="images in a shard, at most (256)")
    for action in parser._actions:
        if action.dest in NOT_HERE:
            action.help = argparse.SUPPRESS
    return parser


def _work(options: argparse.Namespace) -> int:
    for name in NOT_HERE:
        if getattr(options, name, None) not in (None, False, _parser("posecv batch").get_default(name)):
            flag = f"--{name.replace('_', '-')}"
            raise UsageError(f"{flag} has no part in a batch, which writes tables; posecv people has it")
    if not options.input:
        raise UsageError("no input: give a list (.txt), a folder, a quoted pattern, files or addresses")
    if not options.output:
        raise UsageError("no output: give a folder, or an address such as s3://bucket/run1, with -o")
    for name in ("workers", "shard_size"):
        if (value := getattr(options, name)) is not None and value < 1:
            raise UsageError(f"{name}={value}: give 1 or more")
    check_network(options)
    opencv.require_packages("imutils")
    from posecv.app.config import many_config
    from posecv.batch.stores import find_items, package

    package("pyarrow.parquet")
    config = many_config(options)
    order = _order(config, options)
    if options.ray:
        from posecv.batch.clusters import connect

        connect(options.ray)
    items = find_items(options.input)
    with _owned(order.output):
        return _run(order, items, options)


def _run(order: Order, items: Sequence[Item], options: argparse.Namespace) -> int:
    from posecv.batch.foreman import work_off
    from posecv.batch.shards import IMAGES, cut
    from posecv.batch.stores import Store
    from posecv.batch.tables import PARTS

    shards = cut(items, _lengths(items, order), images=options.shard_size or IMAGES)
    names = {f"{shard.name(order.settings)}.parquet": shard for shard in shards}
    store = Store(order.output)
    there = store.names(PARTS)
    missing = [shard for name, shard in names.items() if name not in there]
    say(f"{len(items)} inputs in {len(shards)} shards, {len(shards) - len(missing)} of them already done")
    given_up: list[str] = []
    if missing:
        progress = _Progress(sum(len(shard.items) for shard in missing), len(missing))
        with closing(_crew(order, len(missing), options)) as crew:
            tally = work_off(missing, crew, order, lambda: _skeleton(order), progress)
        given_up = tally.given_up
        say(progress.line(tally))
    return _finish(store, order, names, given_up)


def _finish(store: Store, order: Order, names: dict[str, Shard], given_up: list[str]) -> int:
    """Write what the parts are, and which inputs have no rows; remove parts of inputs that have changed."""
    from posecv.batch.tables import PARTS, about_of, errors_of, errors_table

    there = store.names(PARTS)
    paths = {item.path for shard in names.values() for item in shard.items}
    errors: list[tuple[str, str]] = []
    kept = []
    for name in sorted(there):
        if name in names:
            errors += errors_of(store.read(f"{PARTS}/{name}"))
            kept.append(name)
        else:
            about = about_of(store.read(f"{PARTS}/{name}"))
            if about.get("settings") == order.settings and paths & set(about["items"]):
                store.remove(f"{PARTS}/{name}")
            elif about.get("settings") == order.settings:
                kept.append(name)  # other inputs, given in another run
    store.write(ERRORS, errors_table(errors))
    run = {**json.loads(order.about), "parts": kept, "complete": not given_up}
    store.write(RUN, json.dumps(run, indent=1).encode())
    if errors:
        say(f"{len(errors)} inputs could not be read; {store.path(ERRORS)} names them, such as: {errors[0][1]}")
    for message in sorted(set(given_up))[:3]:
        say(f"{len(given_up)} shards are missing, run it again for them: {message}")
    return 1 if errors or given_up else 0


def _order(config: RunConfig, options: argparse.Namespace) -> Order:
    """What all workers get; its `settings` are a hash of all that changes rows."""
    from posecv import __version__
    from posecv.batch.worker import Order

    networks = _networks(config)
    rows = {
        "estimator": repr(config.estimator), "selection": repr(config.selection), "steps": repr(config.steps),
        "threshold": config.threshold, "compact": options.compact, "networks": networks,
    }  # fmt: skip
    settings = hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:32]
    about = {"version": __version__, "settings": settings, "options": rows, "model": options.model}
    assert config.estimator is not None
    workers = options.workers or _cores()
    output = options.output if "://" in options.output else os.path.abspath(options.output)
    return Order(
        config.estimator, output, settings, json.dumps(about), __version__, config.selection, config.steps,  # type: ignore[arg-type]
        config.threshold, options.compact, 1 if options.ray else max(1, _cores() // workers),
    )  # fmt: skip


def _networks(config: RunConfig) -> list[list[str]]:
    """The hashes of the files of each network."""
    from posecv.models import find_model, sha256_of

    hashes = []
    for choice in _choices(config.estimator):
        if choice.caffemodel or Path(choice.model).suffix:
            files = [Path(choice.model), *([Path(choice.caffemodel)] if choice.caffemodel else [])]
        else:
            model = find_model(choice.model)
            files = [model.prototxt, model.caffemodel]
        try:
            hashes.append([sha256_of(file) for file in dict.fromkeys(files)])
        except OSError as error:
            raise InputError(f"{choice.model}: {error.strerror}") from None
    return hashes


def _choices(part: Any) -> Iterator[NetworkChoice]:
    """The networks of an estimator's configuration."""
    from posecv.estimators.build import Bodies, NetworkChoice, Part, Within

    if isinstance(part, NetworkChoice):
        yield part
    elif isinstance(part, Within):
        yield from _choices(part.people)
    elif isinstance(part, (Bodies, Part)):
        yield part.network
        for each in getattr(part, "parts", ()):
            yield from _choices(each)


def _lengths(items: Sequence[Item], order: Order) -> dict[str, int]:
    """The numbers of frames of videos on this machine, as their headers tell; nothing of what is followed over time."""
    from posecv.sources.films import Film

    if order.steps:
        return {}
    films = [item.path for item in items if item.is_film and "://" not in item.path]
    end = order.selection.end
    lengths = {path: Film(Path(path)).expected() or 0 for path in films}
    return {path: length if end is None else min(length, end) for path, length in lengths.items()}


def _crew(order: Order, shards: int, options: argparse.Namespace) -> Crew:
    count = min(options.workers or _cores(), shards)
    if options.ray:
        from posecv.batch import clusters

        return clusters.Actors(order, min(options.workers or clusters.cores(), shards))
    from posecv.batch.processes import Here, Processes

    private = "memory://" in order.output or any("memory://" in word for word in options.input)
    return Here(order) if private else Processes(order, count)


def _skeleton(order: Order) -> Any:
    return order.estimator.build(lambda network: None).skeleton


def _cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _owned(output: str) -> Iterator[None]:
    """Hold the folder while a run writes into it; OutputError if another one does. A store has no such lock."""
    if "://" in output:
        yield
        return
    from posecv.files import Owner

    try:
        owner = Owner(Path(output) / "run.json")
    except OSError as error:
        raise OutputError(f"{output} cannot be written ({error.strerror})") from None
    try:
        yield
    finally:
        owner.release()


class _Progress:
    """Says now and then how far it is."""

    def __init__(self, inputs: int, shards: int) -> None:
        self._inputs, self._shards = inputs, shards
        self._pause = EVERY[0 if sys.stderr and sys.stderr.isatty() else 1]
        self._told = time.monotonic()

    def __call__(self, tally: Tally) -> None:
        """Say it if it is time."""
        if time.monotonic() - self._told >= self._pause:
            self._told = time.monotonic()
            say(self.line(tally))

    def line(self, tally: Tally) -> str:
        """Shards, frames, people, frames a second, and the time left."""
        seconds = max(time.monotonic() - tally.begin, 1e-9)
        line = f"{tally.done} of {tally.shards} shards, {tally.frames} frames, {tally.people} people"
        if tally.frames:
            line += f", {tally.frames / seconds:.1f} frames/s"
        left = tally.shards - tally.done - len(tally.given_up)
        return line + (f", about {_span(seconds / tally.done * left)} left" if tally.done and left else "")


def _span(seconds: float) -> str:
    """A time in words.

    >>> _span(75), _span(7300)
    ('1 min 15 s', '2 h 1 min')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
