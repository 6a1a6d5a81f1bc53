"""The tutorial's files run as programs, stand alone, and find the same people as the package."""

from __future__ import annotations

import ast
import importlib.util
import io
import re
import shutil
import subprocess
import sys
import tokenize
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import cache
from itertools import chain, repeat
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from conftest import REPOSITORY, RunScript
from figures import Screen
from networks import RADIUS, paint_person, painted_network, standing_person
from oracle import decode as decode_slowly
from oracle import same_people
from posecv.engines.network import load_network
from posecv.estimators.functions import estimate_hand, estimate_people, estimate_person
from posecv.formats.conversion import convert_pair
from posecv.people import People
from posecv.skeletons import COCO, HAND, MPI, Skeleton
from scenes import scene

Array = NDArray[Any]
Pair = tuple[Path, Path]
Call = Callable[..., subprocess.CompletedProcess[str]]

FOLDER = REPOSITORY / "tutorial"
ONE, MANY, HANDS, WEBCAM = LESSONS = ("01_one_person.py", "02_many_people.py", "03_hand.py", "04_webcam.py")
EVERY = pytest.mark.parametrize("lesson", LESSONS)
PICTURE = pytest.mark.parametrize("lesson", LESSONS[:3])
NET_HEIGHT = 368
LINE = re.compile(r"(?:person +(\d+) +)?(\w+) +(-?[\d.]+) +(-?[\d.]+) +(-?[\d.]+)")


@cache
def module(lesson: str) -> ModuleType:
    """A lesson's functions. Their names start with a digit, so that `import` does not take them."""
    spec = importlib.util.spec_from_file_location(f"lesson_{lesson[:2]}", FOLDER / lesson)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def printed(text: str, skeleton: Skeleton) -> People:
    """The people that a lesson printed."""
    people: dict[str, Array] = {}
    for line in text.splitlines():
        if match := LINE.fullmatch(line.strip()):
            number, name, *values = match.groups()
            person = people.setdefault(number or "1", np.zeros((len(skeleton.keypoints), 3), np.float32))
            person[skeleton.keypoints.index(name)] = [float(value) for value in values]
    keypoints = np.array(list(people.values()), np.float32).reshape(-1, len(skeleton.keypoints), 3)
    return People(keypoints, np.zeros(len(people), np.float32), skeleton)


def painting(people: list[Array], skeleton: Skeleton, width: int, height: int) -> Array:
    """A picture of dots, each as large as `painted_network` wants it after the lesson's preprocessing."""
    picture = np.zeros((height, width, 3), np.uint8)
    for person in people:
        paint_person(picture, person, skeleton, radius=RADIUS * max(width / 656, height / NET_HEIGHT))
    return picture


def with_onnx(pair: Pair) -> Pair:
    """The pair, beside it what `python -m posecv.convert` makes of it."""
    pair[1].with_suffix(".onnx").write_bytes(convert_pair(*pair))
    return pair


def large(lesson: str) -> tuple[str, ...]:
    """What gives every lesson the input that painted networks are made for; 03 alone has a smaller one."""
    return ("--net-height", str(NET_HEIGHT)) if lesson == HANDS else ()


def options(pair: Pair, picture: Path) -> list[str | Path]:
    return ["-p", pair[0], "-m", pair[1], "-i", picture]


def saved(path: Path, picture: Array) -> Path:
    assert cv2.imwrite(str(path), picture)
    return path


def opened(path: Path) -> Array:
    picture = cv2.imread(str(path))
    assert picture is not None
    return picture


@pytest.fixture(scope="session")
def coco(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return with_onnx(painted_network(tmp_path_factory.mktemp("coco"), COCO))


@pytest.fixture(scope="session")
def hand(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return with_onnx(painted_network(tmp_path_factory.mktemp("hand"), HAND))


@pytest.fixture
def light_coco(light_coco: Pair, tmp_path: Path) -> Pair:
    """The real network where a file may lie beside it."""
    return with_onnx((light_coco[0], Path(shutil.copy(light_coco[1], tmp_path))))


@pytest.fixture
def no_caffe(tmp_path: Path) -> dict[str, str]:
    """The environment of a lesson whose OpenCV is as OpenCV 5."""
    code = "import cv2\nif hasattr(cv2.dnn, 'readNetFromCaffe'):\n    del cv2.dnn.readNetFromCaffe\n"
    (tmp_path / "sitecustomize.py").write_text(code, encoding="utf-8")
    return {"PYTHONPATH": str(tmp_path)}


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Call:
    """Call a lesson's `main` as the program does, in a folder of its own; the result is as that of `run_script`."""

    def call(lesson: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
        monkeypatch.chdir(tmp_path)
        capfd.readouterr()
        code: Any = 0
        try:
            module(lesson).main([*map(str, words)])
        except SystemExit as end:
            code = end.code
        return subprocess.CompletedProcess([lesson], code, *capfd.readouterr())

    return call


@pytest.fixture
def run(run_script: RunScript) -> Callable[..., str]:
    """What a lesson prints on a pair and a picture."""

    def run(lesson: str, pair: Pair, picture: Path, *words: str | Path) -> str:
        done = run_script(f"tutorial/{lesson}", "-p", pair[0], "-m", pair[1], "-i", picture, *words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


# --------------------------------------------------------------------------------------------------- the files


@EVERY
def test_a_lesson_imports_cv2_numpy_and_the_standard_library_alone(lesson: str) -> None:
    imported = set()
    for node in ast.walk(ast.parse((FOLDER / lesson).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {name.name.split(".")[0] for name in node.names}
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0
            imported.add(str(node.module).split(".")[0])
    assert {"cv2", "numpy"} <= imported <= {"cv2", "numpy", *sys.stdlib_module_names}


@EVERY
def test_a_lesson_has_about_120_lines_of_code(lesson: str) -> None:
    skipped = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    source = (FOLDER / lesson).read_text(encoding="utf-8")
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    lines = {line for token in tokens if token.type not in skipped for line in range(token.start[0], token.end[0] + 1)}
    assert len(lines) <= 127


@EVERY
def test_a_lesson_ends_with_where_it_differs_and_what_the_package_adds(lesson: str) -> None:
    end = (FOLDER / lesson).read_text(encoding="utf-8").rpartition("main()\n")[2]
    assert "On purpose" in end
    assert "package" in end


@EVERY
def test_help_says_what_the_options_are(lesson: str, run_script: RunScript) -> None:
    done = run_script(f"tutorial/{lesson}", "--help")
    assert done.returncode == 0
    assert all(option in done.stdout for option in ("--prototxt", "--model", "--input", "--device"))


# -------------------------------------------------------------------------------------------------- what goes wrong


@EVERY
def test_no_arguments_are_one_line_and_exit_code_2(lesson: str, run_script: RunScript) -> None:
    done = run_script(f"tutorial/{lesson}")
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r".*required: -p/--prototxt, -m/--model.*\n", done.stderr)


@EVERY
@pytest.mark.parametrize("missing", ["pose.prototxt", "pose.caffemodel", "picture.png"])
def test_a_missing_file_is_one_line_and_exit_code_2(
    lesson: str, missing: str, coco: Pair, call: Call, tmp_path: Path
) -> None:
    if lesson == WEBCAM and missing == "picture.png":
        pytest.skip("a video that is missing shows when it is opened, after the window's test")
    if missing != "picture.png" and not hasattr(cv2.dnn, "readNetFromCaffe"):
        pytest.skip("OpenCV 5 takes neither of the pair")
    files = {"pose.prototxt": coco[0], "pose.caffemodel": coco[1]}
    files["picture.png"] = saved(tmp_path / "picture.png", np.zeros((32, 32, 3), np.uint8))
    files[missing] = tmp_path / "nowhere" / missing
    prototxt, caffemodel, picture = files.values()
    done = call(lesson, "-p", prototxt, "-m", caffemodel, "-i", picture)
    assert done.returncode == 2
    assert re.fullmatch(rf".*no such file: {re.escape(str(files[missing]))}\n", done.stderr)


@PICTURE
def test_a_file_that_is_no_picture_is_one_line_and_exit_code_2(
    lesson: str, coco: Pair, call: Call, tmp_path: Path
) -> None:
    page = tmp_path / "page.jpg"
    page.write_text("<html>", encoding="utf-8")
    done = call(lesson, "-p", coco[0], "-m", coco[1], "-i", page)
    assert done.returncode == 2
    assert re.fullmatch(r".*not an image.*page\.jpg\n", done.stderr)


@EVERY
def test_an_opencv_without_caffe_asks_for_the_onnx_file_and_says_what_makes_it(
    lesson: str, run_script: RunScript, no_caffe: dict[str, str]
) -> None:
    words = ("-p", "any.prototxt", "-m", "folder/any.caffemodel", "-i", "any.jpg")
    done = run_script(f"tutorial/{lesson}", *words, env=no_caffe)
    assert done.returncode == 2
    convert = r"python -m posecv\.convert any\.prototxt folder/any\.caffemodel"
    assert re.fullmatch(rf"OpenCV 5 reads ONNX, not Caffe: {convert} makes the file\n", done.stdout)
    assert re.fullmatch(r".*no such file: folder.any\.onnx\n", done.stderr)


@PICTURE
def test_cuda_is_refused_in_one_line_where_opencv_has_none(
    lesson: str, coco: Pair, call: Call, tmp_path: Path
) -> None:
    if cv2.dnn.DNN_TARGET_CUDA in cv2.dnn.getAvailableTargets(cv2.dnn.DNN_BACKEND_CUDA):
        pytest.skip("this OpenCV has CUDA")
    picture = saved(tmp_path / "picture.png", np.zeros((32, 32, 3), np.uint8))
    done = call(lesson, "-p", coco[0], "-m", coco[1], "-i", picture, "--device", "cuda")
    assert done.returncode == 2
    assert re.fullmatch(r".*no CUDA.*\n", done.stderr)


@PICTURE
def test_another_layout_is_named_by_its_number_of_maps(lesson: str, call: Call, tmp_path: Path) -> None:
    pair = with_onnx(painted_network(tmp_path / "mpi", MPI))
    picture = saved(tmp_path / "picture.png", np.full((32, 32, 3), 9, np.uint8))
    done = call(lesson, "-p", pair[0], "-m", pair[1], "-i", picture)
    assert done.returncode == 2
    assert re.fullmatch(r".*gives 44 maps, not the \d\d of OpenPose's \w+ layout\n", done.stderr)


@PICTURE
def test_an_output_that_cannot_be_written_is_one_line(
    lesson: str, coco: Pair, hand: Pair, call: Call, tmp_path: Path
) -> None:
    prototxt, caffemodel = hand if lesson == HANDS else coco
    picture = saved(tmp_path / "picture.png", np.full((32, 32, 3), 9, np.uint8))
    for output in ("result.nothing", "result"):
        done = call(lesson, "-p", prototxt, "-m", caffemodel, "-i", picture, "-o", output)
        assert done.returncode == 2
        assert re.fullmatch(rf".*cannot write {output}\n", done.stderr)


# ------------------------------------------------------------------------------------------------- preprocessing


@pytest.mark.parametrize(
    ("width", "height", "net_width"),
    [
        (1920, 1080, 656),
        (1280, 720, 656),
        (640, 480, 496),
        (720, 1280, 208),
        (500, 500, 368),
        (10, 1000, 16),
    ],
)
def test_the_input_has_the_size_that_openpose_gives_it(width: int, height: int, net_width: int) -> None:
    for lesson in LESSONS[:2]:
        blob, scale = module(lesson).preprocess(np.zeros((height, width, 3), np.uint8))
        assert blob.shape == (1, 3, NET_HEIGHT, net_width)
        assert (scale * (width, height) <= (net_width, NET_HEIGHT)).all()
    blob, scale = module(HANDS).preprocess(np.zeros((height, width, 3), np.uint8), NET_HEIGHT)
    assert blob.shape == (1, 3, NET_HEIGHT, net_width)
    assert (scale * (width, height) <= (net_width, NET_HEIGHT)).all()



def test_the_input_is_bgr_as_v_through_256_minus_a_half_with_black_padding_right_and_below() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (NET_HEIGHT, 488, 3), np.uint8)  # 488 is no multiple of 16
    for lesson, net_height in ((ONE, ()), (MANY, ()), (HANDS, (NET_HEIGHT,))):
        blob, scale = module(lesson).preprocess(picture, *net_height)
        assert blob.shape[3] == 496
        assert (scale == 1).all()
        assert np.allclose(blob[0, :, :, :488], picture.transpose(2, 0, 1) / np.float32(256) - 0.5, atol=1e-6)
        assert (blob[0, :, :, 488:] == -0.5).all()


def test_all_lessons_prepare_a_picture_alike() -> None:
    for size in ((480, 640), (1000, 300), (90, 70)):
        picture = np.random.default_rng(2).integers(0, 256, (*size, 3), np.uint8)
        blobs = [module(lesson).preprocess(picture)[0] for lesson in (ONE, MANY)]
        blobs += [module(lesson).preprocess(picture, NET_HEIGHT)[0] for lesson in (HANDS, WEBCAM)]
        assert all(np.array_equal(blob, blobs[0]) for blob in blobs)


def test_a_tiny_picture_runs_through(coco: Pair, call: Call, tmp_path: Path) -> None:
    picture = saved(tmp_path / "tiny.png", np.zeros((1, 1, 3), np.uint8))
    for lesson in (ONE, MANY):
        done = call(lesson, *options(coco, picture))
        assert done.returncode == 0
        assert len(printed(done.stdout, COCO)) == 0


# ------------------------------------------------------------------------------------------------------- decoding


def in_cells(people: Array) -> People:
    """What a lesson's decoder gives, in the cells that the oracle and the package count in."""
    cells = np.concatenate([(people[..., :2] - 3.5) / 8, people[..., 2:]], axis=-1)
    keypoints = np.where(people[..., 2:] > 0, cells, 0).astype(np.float32)
    return People(keypoints, np.zeros(len(people), np.float32), COCO)


@pytest.mark.parametrize(
    "name",
    ["1 person", "5 people", "20 people, smooth", "faint people", "nobody", "cut by the border", "crossing limbs",
     "horizontal and vertical", "wide", "tall", "sharing a neck", "sharing a spot", "plateaus"],
)  # fmt: skip
def test_02_finds_the_people_of_a_painted_scene_as_the_slow_decoder_does(name: str) -> None:
    maps = scene(name).maps
    assert same_people(in_cells(module(MANY).decode(maps)), decode_slowly(maps, COCO))


def test_no_keypoint_serves_two_people() -> None:
    found = module(MANY).decode(scene("20 people").maps)
    for keypoint in found.transpose(1, 0, 2):
        places = keypoint[keypoint[:, 2] > 0].tolist()
        assert len(places) == len({tuple(place) for place in places})


def test_01_and_02_agree_on_a_single_person() -> None:
    maps = scene("1 person").maps
    one, many = module(ONE).decode(maps), module(MANY).decode(maps)
    both = (one[:, 2] > 0) & (many[0, :, 2] > 0)
    assert len(many) == 1
    assert both.sum() >= 15
    assert np.allclose(one[both], many[0, both], atol=1e-3)


def test_heatmaps_alone_serve_01() -> None:
    maps = scene("1 person").maps
    assert np.array_equal(module(ONE).decode(maps[:19]), module(ONE).decode(maps))


def test_04_decodes_as_01_does() -> None:
    maps = scene("1 person").maps
    assert np.array_equal(module(WEBCAM).decode(maps), module(ONE).decode(maps))


# ----------------------------------------------------------------------------------- whole runs on painted pictures


def assert_near(people: People, expected: People, pixels: float) -> None:
    """The same people with the same keypoints, each within some pixels."""
    assert len(people) == len(expected)
    order = [int(np.argmin([abs(mine - theirs).sum() for mine in people.keypoints])) for theirs in expected.keypoints]
    assert sorted(order) == list(range(len(people)))
    for mine, theirs in zip(people.keypoints[order], expected.keypoints, strict=True):
        assert np.array_equal(mine[:, 2] > 0, theirs[:, 2] > 0)
        assert np.hypot(*(mine - theirs)[:, :2].T).max() < pixels


@pytest.mark.parametrize(("width", "height"), [(640, 480), (400, 736), (900, 480)])
def test_01_finds_a_painted_person_where_the_package_does(
    width: int, height: int, coco: Pair, call: Call, tmp_path: Path
) -> None:
    scale = max(width / 656, height / NET_HEIGHT)
    person = standing_person(COCO, 0.5 * width, 40 * scale, scale)
    picture = saved(tmp_path / "painted.png", painting([person], COCO, width, height))
    people = printed(call(ONE, *options(coco, picture)).stdout, COCO)
    assert_near(people, estimate_person(load_network(*coco), opened(picture)), 2)
    assert_near(people, People(person[None], np.ones(1, np.float32), COCO), 3)


def test_02_finds_painted_people_where_the_package_does(coco: Pair, call: Call, tmp_path: Path) -> None:
    scale = 720 / NET_HEIGHT
    painted = [standing_person(COCO, x * scale, 40 * scale, scale) for x in (100, 300, 520)]
    picture = saved(tmp_path / "painted.png", painting(painted, COCO, 1280, 720))
    people = printed(call(MANY, *options(coco, picture)).stdout, COCO)
    assert_near(people, estimate_people(load_network(*coco), opened(picture)), 3)
    assert_near(people, People(np.array(painted), np.ones(3, np.float32), COCO), 4)


@pytest.mark.parametrize("side", [(), ("--left",)], ids=["right", "left"])
@pytest.mark.parametrize("box", [None, (150, 60, 250, 368), (-60, -20, 368, 368)], ids=["whole", "box", "overlap"])
def test_03_finds_a_painted_hand_where_the_package_does(
    side: tuple[str, ...],
    box: tuple[int, int, int, int] | None,
    hand: Pair,
    call: Call,
    tmp_path: Path,
) -> None:
    painted = standing_person(HAND, 190 if box and box[0] > 0 else 100, 150)
    height = 480 if box else NET_HEIGHT
    picture = np.zeros((height, 640, 3), np.uint8)
    saved(tmp_path / "hand.png", paint_person(picture, painted, HAND))
    words = [f"--box={','.join(map(str, box))}"] if box else []
    people = printed(call(HANDS, *options(hand, tmp_path / "hand.png"), *words, *side, *large(HANDS)).stdout, HAND)
    network = load_network(*hand)
    assert network.model.net_side == NET_HEIGHT
    assert_near(people, estimate_hand(network, picture, box, bool(side)), 2)
    assert_near(people, People(painted[None], np.ones(1, np.float32), HAND), 2)


def test_an_empty_box_is_one_line(hand: Pair, call: Call, tmp_path: Path) -> None:
    picture = saved(tmp_path / "hand.png", np.full((32, 32, 3), 9, np.uint8))
    for box in ("100,100,20,20", "0,0,0,0", "0,0,-4,-9", "1,2,3"):
        done = call(HANDS, "-p", hand[0], "-m", hand[1], "-i", picture, f"--box={box}")
        assert done.returncode == 2
        assert re.fullmatch(r".*box.*\n", done.stderr)


@PICTURE
def test_the_picture_is_drawn_under_its_own_name_or_the_one_asked_for(
    lesson: str, coco: Pair, hand: Pair, run: Callable[..., str], tmp_path: Path
) -> None:
    pair, skeleton = (hand, HAND) if lesson == HANDS else (coco, COCO)
    painted = painting([standing_person(skeleton, 248, 40)], skeleton, 496, NET_HEIGHT)
    picture = saved(tmp_path / "painted.png", painted)
    run(lesson, pair, picture, *large(lesson))
    run(lesson, pair, picture, *large(lesson), "-o", tmp_path / "asked.png")
    drawn, asked = opened(tmp_path / "painted_pose.png"), opened(tmp_path / "asked.png")
    assert np.array_equal(drawn, asked)
    assert drawn.shape == painted.shape
    assert (drawn.max(axis=2) > 0).sum() > 1.1 * (painted.max(axis=2) > 0).sum()


@PICTURE
def test_without_caffe_the_onnx_file_gives_the_same_people(
    lesson: str, coco: Pair, hand: Pair, run: Callable[..., str], run_script: RunScript, no_caffe: dict[str, str],
    tmp_path: Path,
) -> None:  # fmt: skip
    pair, skeleton = (hand, HAND) if lesson == HANDS else (coco, COCO)
    picture = saved(tmp_path / "a.png", painting([standing_person(skeleton, 248, 40)], skeleton, 496, NET_HEIGHT))
    words = [*options(pair, picture), *large(lesson)]
    done = run_script(f"tutorial/{lesson}", *words, env=no_caffe)
    assert done.stdout.startswith("OpenCV 5 ")
    found = printed(done.stdout, skeleton)
    expected = printed(run(lesson, pair, picture, *large(lesson)), skeleton)
    assert len(found) == len(expected) == 1
    np.testing.assert_allclose(found.keypoints, expected.keypoints, atol=0.11)  # what is printed has one digit


# --------------------------------------------------------------------------------------------- the real network


@pytest.mark.parametrize("name", ["player.jpg", "team.jpg"])
def test_people_on_photographs_are_those_of_the_package(
    name: str, light_coco: Pair, run: Callable[..., str], tmp_path: Path
) -> None:
    picture = REPOSITORY / "samples" / name
    people = printed(run(MANY, light_coco, picture), COCO)
    network = load_network(*light_coco)
    theirs = estimate_people(network, opened(picture), **asdict(COCO.thresholds))
    near = [
        np.hypot(*(mine - other)[both, :2].T)
        for other in theirs.keypoints
        for mine in people.keypoints
        if (both := (mine[:, 2] > 0) & (other[:, 2] > 0)).any() and np.hypot(*(mine - other)[both, :2].T).max() < 5
    ]
    assert abs(len(people) - len(theirs)) <= 1
    assert len(near) >= len(theirs) - 1
    assert np.median(np.concatenate(near)) < 1


def test_the_one_person_of_a_photograph_is_that_of_the_package(light_coco: Pair, run: Callable[..., str]) -> None:
    picture = REPOSITORY / "samples" / "player.jpg"
    people = printed(run(ONE, light_coco, picture), COCO)
    theirs = estimate_person(load_network(*light_coco), opened(picture))
    both = people.found[0] & theirs.found[0]
    assert both.sum() >= 15
    assert np.hypot(*(people.keypoints - theirs.keypoints)[0, both, :2].T).max() < 3


@pytest.mark.parametrize(
    ("sample", "box", "side"), [("hand.jpg", None, ()), ("player.jpg", (350, 115, 60, 60), ("--left",))]
)
def test_03_finds_with_the_hand_network_that_ships_what_the_package_finds(
    sample: str, box: tuple[int, int, int, int] | None, side: tuple[str, ...], run: Callable[..., str], tmp_path: Path
) -> None:
    folder = REPOSITORY / "models" / "light_hand"
    pair = with_onnx((folder / "pose.prototxt", Path(shutil.copy(folder / "pose.caffemodel", tmp_path))))
    picture = REPOSITORY / "samples" / sample
    words = [f"--box={','.join(map(str, box))}"] if box else []
    (hand,) = printed(run(HANDS, pair, picture, *words, *side), HAND).keypoints
    (theirs,) = estimate_hand(load_network("light_hand"), opened(picture), box, bool(side)).keypoints
    width = max(np.ptp(theirs[:, :2], axis=0))
    # Padding and refinement differ: a keypoint with two peaks alike may fall on the other one.
    assert (np.hypot(*(hand - theirs)[:, :2].T) < 0.1 * width).mean() > 0.9


def commands(text: str) -> list[list[str]]:
    """The command lines of a page or docstring that run a lesson, without what stands in brackets."""
    lines = [line.strip() for line in re.sub(r"\[.*?\]", "", text).splitlines()]
    variables = dict(re.findall(r'^(\w+)="(.*)"$', "\n".join(lines), re.MULTILINE))
    found = [line for line in lines if re.match(r"python 0\d_", line)]
    return [re.sub(r"\$(\w+)", lambda match: variables[match[1]], line).split()[1:] for line in found]


@EVERY
def test_the_files_in_a_lessons_example_are_there(lesson: str) -> None:
    shown = ast.get_docstring(ast.parse((FOLDER / lesson).read_text(encoding="utf-8")))
    (words,) = commands(shown or "")
    assert words[0] == lesson
    files = [word for word in words[1:] if "." in word]
    assert len(files) == 3 - (lesson == WEBCAM)
    assert [file for file in files if not (FOLDER / file).is_file()] == []


def test_the_readmes_lines_run_with_the_networks_that_ship(run_script: RunScript, tmp_path: Path) -> None:
    """In a copy of the checkout beside the converted networks, which OpenCV 5 needs."""
    (tmp_path / "samples").symlink_to(REPOSITORY / "samples")
    (tmp_path / "tutorial").mkdir()
    for name in ("light_body", "light_hand"):
        shutil.copytree(REPOSITORY / "models" / name, tmp_path / "models" / name)
        with_onnx((tmp_path / "models" / name / "pose.prototxt", tmp_path / "models" / name / "pose.caffemodel"))
    lines = commands((FOLDER / "README.md").read_text(encoding="utf-8"))
    assert {words[0] for words in lines} == set(LESSONS)
    for lesson, *words in lines:
        if lesson != WEBCAM:
            done = subprocess.run(
                [sys.executable, FOLDER / lesson, *words], cwd=tmp_path / "tutorial", capture_output=True, text=True
            )
            assert (done.returncode, done.stderr) == (0, "")
            assert "drawn into" in done.stdout


# --------------------------------------------------------------------------------------------------- the webcam


class Camera:
    """A camera of three frames."""

    def __init__(self, _: int | str) -> None:
        person = painting([standing_person(COCO, 170, 30, 0.8)], COCO, 344, 256)
        self.frames: Iterator[tuple[bool, Array | None]] = chain(repeat((True, person), 3), repeat((False, None)))
        self.released = False

    def read(self) -> tuple[bool, Array | None]:
        return next(self.frames)

    def release(self) -> None:
        self.released = True


@pytest.fixture
def net(coco: Pair) -> Any:
    """The painted network as 04 reads it."""
    if read := getattr(cv2.dnn, "readNetFromCaffe", None):
        return read(*map(str, coco))
    return cv2.dnn.readNetFromONNX(str(coco[1].with_suffix(".onnx")))


def test_04_shows_each_frame_with_its_limbs_and_gives_the_camera_back(net: Any) -> None:
    camera, screen = Camera(0), Screen()
    assert module(WEBCAM).show(net, camera, screen) == 3
    assert len(screen.shown) == 3
    assert all(frame.shape == (256, 344, 3) for frame in screen.shown)
    neck, hip = (158, 60), (158, 120)
    assert screen.shown[0][neck[1] : hip[1], neck[0] - 20 : neck[0] + 20].any(axis=(1, 2)).all()
    assert camera.released
    assert not screen.open


@pytest.mark.parametrize("way", ["q", "escape", "close button", "close button of Qt", "ctrl-c"])
def test_04_ends_after_the_frame_on(way: str, net: Any) -> None:
    def interrupt() -> float:
        raise KeyboardInterrupt

    def no_window_left() -> float:
        raise cv2.error("NULL guiReceiver (please create a window)")

    camera, screen = Camera(0), {
        "q": Screen([ord("q")]),
        "escape": Screen([27]),
        "close button": Screen(visible=lambda: 0.0),
        "close button of Qt": Screen(visible=no_window_left),
        "ctrl-c": Screen(visible=interrupt),
    }[way]
    module(WEBCAM).show(net, camera, screen)
    assert len(screen.shown) == 1
    assert camera.released
    assert not screen.open


def test_04_says_that_a_camera_gives_no_frame(
    coco: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DISPLAY", ":0")
    words = "-p", coco[0], "-m", coco[1], "-i", tmp_path / "nothing.avi"
    with pytest.raises(SystemExit, match="2"):
        module(WEBCAM).main([*map(str, words)], Screen())
    assert re.fullmatch(r".*no frame from .*nothing\.avi: .*\n", capsys.readouterr().err)


def test_04_refuses_a_network_of_another_layout_before_it_opens_the_camera(
    hand: Pair, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DISPLAY", ":0")
    with pytest.raises(SystemExit, match="2"):
        module(WEBCAM).main(["-p", str(hand[0]), "-m", str(hand[1])], Screen())
    assert re.fullmatch(r".*this network gives 22 maps, not the 57 .*\n", capsys.readouterr().err)


def test_04_without_a_window_says_so_before_it_opens_one(coco: Pair, run_script: RunScript) -> None:
    done = run_script(f"tutorial/{WEBCAM}", "-p", coco[0], "-m", coco[1])
    if sys.platform != "linux" and "NONE" not in cv2.getBuildInformation():
        pytest.skip("a window can open here")
    assert done.returncode == 2
    assert re.fullmatch(r".*(no windows|no display).*\n", done.stderr)
