"""`posecv evaluate`: the accuracy of one or several models on labelled images.

posecv evaluate --annotations person_keypoints.json --images val2017/ --model light_body light-coco --report out/
posecv evaluate --annotations person_keypoints.json --results mine.json theirs.json
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from posecv.app.commands import CommandParser, run
from posecv.app.options import DEVICES, ENGINES
from posecv.errors import UsageError
from posecv.terminal import say

if TYPE_CHECKING:
    from posecv.arrays import Frame
    from posecv.evaluation.coco import Truth
    from posecv.evaluation.report import ModelReport
    from posecv.evaluation.results import Detections
    from posecv.evaluation.runs import Subject

__all__ = ["main"]

OWN_MODEL = "light_body"
EPILOG = "The figures are those of the default options of posecv.estimate_people; docs/evaluation.md explains them."


def main(argv: Sequence[str] | None = None, prog: str = "posecv evaluate") -> int:
    """Evaluate models, or stored results."""
    parser = CommandParser(prog, "Measure accuracy on labelled images, as COCO does.", EPILOG)
    data = parser.add_argument_group("images")
    data.add_argument("--annotations", type=Path, required=True, metavar="FILE", help="of COCO, CrowdPose or MPII")
    data.add_argument("--images", type=Path, metavar="FOLDER", help="the annotated images")
    data.add_argument("--limit", type=int, metavar="N", help="the first N images alone")
    data.add_argument("--sample", type=int, metavar="N", help="N images at random")
    data.add_argument("--seed", type=int, default=0, metavar="N", help="of --sample and of the intervals (0)")
    data.add_argument("--effect", metavar="NAME", help="degrade the images: dark, motion_blur, low_resolution, noise")
    data.add_argument("--strength", type=float, metavar="S", help="of the effect (default: the effect's own)")
    data.add_argument("--cases", type=Path, metavar="CSV", help="lists of ids of images, which become groups")
    data.add_argument("--keep-trained", action="store_true", help="also images that a model was trained on")
    what = parser.add_argument_group("what is evaluated")
    what.add_argument("--model", nargs="+", action="extend", metavar="NAME", help="models, or pairs P,M (light_body)")
    what.add_argument("--results", nargs="+", type=Path, action="extend", metavar="JSON", help="COCO's results instead")
    what.add_argument("--net-size", metavar="SIZE", help="size of the networks' input (default: their own)")
    what.add_argument("--engine", choices=ENGINES, default="auto", metavar="NAME", help=", ".join(ENGINES))
    what.add_argument("--device", choices=DEVICES, default="auto", metavar="NAME", help=", ".join(DEVICES))
    told = parser.add_argument_group("result")
    told.add_argument("--report", type=Path, metavar="FOLDER", help="summary.json, report.md, report.csv, report.html")
    told.add_argument("--with-pictures", action="store_true", help="the worst images in the page, not only skeletons")
    told.add_argument("--resume", action="store_true", help="go on with what an earlier run left in that folder")
    told.add_argument("--draws", type=int, default=1000, metavar="N", help="of the bootstrap; 0: no intervals (1000)")
    return run(parser, argv, _work)


def _work(options: argparse.Namespace) -> int:
    _check(options)
    from posecv.evaluation.annotations import read_labels
    from posecv.evaluation.coco import require_pycocotools
    from posecv.evaluation.groups import read_cases
    from posecv.evaluation.report import measured
    from posecv.evaluation.runs import chosen, files_of

    require_pycocotools()
    truth = read_labels(options.annotations)
    cases = read_cases(options.cases) if options.cases else None
    files: dict[int, Path] = {}
    if options.images:
        truth, files = files_of(truth, options.images)
    truth = chosen(truth, limit=options.limit, sample=options.sample, seed=options.seed)
    facts = None
    if options.results:
        found = [_stored(path, truth) for path in options.results]
    else:
        found, truth = _estimated(options, truth, files)
        facts = _facts(truth, files)
    reports = [measured(truth, each, draws=options.draws, facts=facts, cases=cases) for each in found]
    _tell(options, reports, truth, found, files)
    return 0


def _check(options: argparse.Namespace) -> None:
    """Raise UsageError for contradictions."""
    if bool(options.results) == bool(options.model) and options.results:
        raise UsageError("--results scores what is stored, --model runs networks; give one of them")
    if not options.results and not options.images:
        raise UsageError("--images FOLDER is missing: where the annotated images are")
    if options.resume and not options.report:
        raise UsageError("--resume goes on with the results in --report FOLDER; name it")
    for name in ("limit", "sample"):
        if (value := getattr(options, name)) is not None and value < 1:
            raise UsageError(f"{name}={value}: give 1 or more")
    if options.draws < 0:
        raise UsageError(f"draws={options.draws}: give 0 for no intervals, or some hundreds")


def _stored(path: Path, truth: Truth) -> Detections:
    from posecv.evaluation.results import Detections, read_coco_results

    rows, notes = read_coco_results(path, truth)
    for note in notes:
        say(note)
    return Detections(path.stem, rows)


def _estimated(
    options: argparse.Namespace, truth: Truth, files: dict[int, Path]
) -> tuple[list[Detections], Truth]:
    """What each model finds, and the annotations of the images that none of them was trained on."""
    from posecv.evaluation.results import Store
    from posecv.evaluation.runs import detections, without_trained

    change = _change(options)
    subjects = []
    for name in dict.fromkeys(options.model or [OWN_MODEL]):
        subject, trained = _subject(name, options)
        subjects.append(subject)
        if trained and not options.keep_trained:
            truth = without_trained(truth, trained, subject.name)
    found = []
    for subject in subjects:
        settings = {name: getattr(options, name) for name in ("net_size", "effect", "strength")}
        settings |= {"model": subject.name, "annotations": options.annotations.name}
        path = options.report / f"{subject.name}.jsonl" if options.report else None
        store = Store(path, settings, resume=options.resume)
        say(f"{subject.name}: {len(truth['images'])} images, {len(store.lines)} of them done before")
        found.append(detections(truth, files, subject, store, change))
    return found, truth


def _subject(word: str, options: argparse.Namespace) -> tuple[Subject, set[int]]:
    """A model by its name or pair, and the numbers of COCO's images that it was trained on."""
    from posecv.estimators.build import Bodies, NetworkChoice
    from posecv.evaluation.annotations import trained_on
    from posecv.evaluation.runs import Subject

    prototxt, _, caffemodel = word.partition(",")
    choice = NetworkChoice(prototxt, caffemodel or None, engine=options.engine, device=options.device)
    networks: list[Any] = []
    estimator = Bodies(choice, options.net_size, person_threshold=0.0).build(networks.append)
    model = networks[0].model
    name = Path(caffemodel or prototxt).stem if caffemodel or Path(prototxt).suffix else model.name
    return Subject(name, estimator, model.person_threshold), trained_on(model.caffemodel.with_name("trained_on.txt"))


def _change(options: argparse.Namespace) -> Callable[[Frame], Frame] | None:
    """The function that degrades images; UsageError for an unknown effect or strength."""
    if not options.effect:
        return None
    import numpy as np

    from posecv.degrade import degrade

    rng = np.random.default_rng(options.seed)

    def change(frame: Frame) -> Frame:
        return degrade(frame, options.effect, strength=options.strength, rng=rng)

    change(np.zeros((8, 8, 3), np.uint8))
    return change


def _facts(truth: Truth, files: dict[int, Path]) -> dict[int, Any]:
    """What the images look like, for groups of them."""
    from posecv.domain import load_classifier
    from posecv.errors import InputError
    from posecv.evaluation.groups import facts_of_frame
    from posecv.sources.pictures import read_picture

    classifier = load_classifier()
    people: dict[int, list[Any]] = {}
    for row in truth["annotations"]:
        people.setdefault(row["image_id"], []).append(row)
    facts = {}
    for row in truth["images"]:
        try:
            frame = read_picture(files[row["id"]])
        except InputError:
            continue
        odds = classifier(frame)
        facts[row["id"]] = facts_of_frame(frame, people.get(row["id"], []), max(odds, key=odds.__getitem__))
    return facts


def _tell(
    options: argparse.Namespace, reports: Sequence[ModelReport], truth: Truth, found: Sequence[Detections],
    files: dict[int, Path],
) -> None:  # fmt: skip
    """Print the overview; write the report."""
    from posecv.evaluation import markdown
    from posecv.evaluation.report import compared, csv_of, html_of, markdown_of, overview, summary
    from posecv.files import write_whole

    images = len(truth["images"])
    for table in filter(None, (overview(reports), compared(reports))):
        print(markdown.table(table.header, table.rows), end="\n\n")
    if not options.report:
        return
    from posecv.evaluation.worst import worst_images

    shown = worst_images(truth, found[0], reports[0], files, with_pictures=options.with_pictures)
    texts = {
        "summary.json": json.dumps(summary(reports, images), indent=1) + "\n",
        "report.md": markdown_of(reports, images),
        "report.csv": csv_of(reports),
        "report.html": html_of(reports, images, shown),
    }
    for name, text in texts.items():
        write_whole(options.report / name, text.encode())
    for each in found:
        if not options.results:
            write_whole(options.report / f"{each.name}.json", json.dumps(each.kept).encode())
    print(f"{options.report}: {', '.join(texts)}")
