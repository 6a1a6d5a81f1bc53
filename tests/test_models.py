"""Models by name and by their files: the manifest, the search for weights, what is said when they are missing."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from conftest import OWN_NAMES
from figures import opened_files
from networks import write_manifest
from posecv import models
from posecv.errors import ModelError
from posecv.geometry import Preprocessing
from posecv.models import find_model, manifest, model_of_pair, read_manifest, skeleton_of_channels
from posecv.skeletons import BODY_25, COCO, FACE, HAND, MPI, MPI_4_STAGES, SKELETONS, Skeleton, Thresholds

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("POSECV_SHARED", ROOT.parent / "shared"))
LIGHT_COCO = SHARED / "models" / "light-coco"
OPENPOSE = ("coco", "mpi", "mpi_4_stages", "body_25", "hand", "face")
FILES = {
    "coco": "pose_iter_440000.caffemodel",
    "mpi": "pose_iter_160000.caffemodel",
    "body_25": "pose_iter_584000.caffemodel",
    "hand": "pose_iter_102000.caffemodel",
    "face": "pose_iter_116000.caffemodel",
}
FOUR_STAGES = 'layer { name: "Mconv7_stage2_L1" } layer { name: "Mconv7_stage4_L2" }'
SIX_STAGES = FOUR_STAGES + ' layer { name: "Mconv7_stage6_L2" }'


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout's models/ with manifest and prototxts and without weights; no other place holds any."""
    folder = tmp_path / "checkout" / "models"
    for name in OPENPOSE:
        put(folder / name / "pose.prototxt")
    (folder / "MANIFEST.tsv").write_bytes((ROOT / "models" / "MANIFEST.tsv").read_bytes())
    monkeypatch.delenv("POSECV_MODELS", raising=False)
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA", "HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path / "cache"))
    return folder


def put(path: Path, content: bytes = b"weights") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def manifest_with(folder: Path, **cells: str) -> Path:
    """A manifest of one good row, with these cells instead."""
    return write_manifest(folder, {"name": "tiny", "weights": "tiny", **cells})


# ------------------------------------------------------------------------------------------------- the manifest


def test_the_manifest_has_openposes_six_models_and_light_coco() -> None:
    names = [row.name for row in manifest()]
    assert tuple(names[:6]) == OPENPOSE
    assert "light-coco" in names


def test_openposes_models_are_fed_v_over_256_minus_a_half_with_a_black_border() -> None:
    for row in manifest()[:6]:
        assert row.preprocessing == Preprocessing()
        scale = row.preprocessing.scale
        assert isinstance(scale, float)  # one for all channels
        black, white = ((value - row.preprocessing.mean[0]) * scale for value in (0, 256))
        assert (black, white) == (-0.5, 0.5)


def test_openposes_models_have_their_skeletons_and_their_thresholds() -> None:
    for row in manifest()[:6]:
        assert row.skeleton is SKELETONS[row.name]
        assert row.thresholds == row.skeleton.thresholds


def test_openposes_weights_are_for_non_commercial_use_and_each_has_an_address_a_file_and_an_md5() -> None:
    for row in manifest()[:6]:
        assert row.use == "non-commercial"
        assert row.file == FILES[row.weights]
        assert row.md5
        assert row.mirrors[0].startswith("http://vcl.snu.ac.kr/OpenPose/models/")
        assert row.mirrors[0].endswith(row.file)
        assert len(set(row.mirrors)) == len(row.mirrors)
        assert all(address.startswith(("http://", "https://")) for address in row.mirrors)


def test_sizes_of_openposes_weights_are_given_only_where_they_are_certain() -> None:
    assert {row.name for row in manifest()[:6] if row.bytes} == {"coco", "body_25"}


def test_a_shell_can_read_the_manifest_with_tabs_as_separator() -> None:
    text = (ROOT / "models" / "MANIFEST.tsv").read_text(encoding="utf-8")
    assert "\t\t" not in text  # tabs are white space to the shell's read: an empty field would vanish
    assert "\r" not in text
    assert text.endswith("\n")


def test_the_repository_has_a_prototxt_and_a_card_for_each_of_openposes_models() -> None:
    for name in OPENPOSE:
        card = (ROOT / "models" / name / "README.md").read_text(encoding="utf-8")
        row = next(row for row in manifest() if row.name == name)
        assert (ROOT / "models" / name / "pose.prototxt").is_file()
        assert row.md5
        assert row.md5 in card
        assert row.sha256 is None or row.sha256 in card
        assert row.bytes is None or f"{row.bytes:,} bytes" in card
        assert f"./getModels.sh {row.weights}" in card
        assert "non-commercial" in card


def test_a_row_may_have_its_own_constants(tmp_path: Path) -> None:
    path = manifest_with(
        tmp_path, aliases="small,mini", inter_min_above="0.8", min_subset_cnt="4", mean="104,117,123", scale="0.017",
        swap_rb="yes", padding="128", mirrors="http://one/a http://two/a",
    )  # fmt: skip
    (row,) = read_manifest(path)
    assert row.aliases == ("small", "mini")
    assert row.thresholds == replace(COCO.thresholds, inter_min_above=0.8, min_subset_cnt=4)
    assert row.preprocessing == Preprocessing(0.017, (104.0, 117.0, 123.0), True, 128)
    assert row.mirrors == ("http://one/a", "http://two/a")


@pytest.mark.parametrize(
    ("column", "text"),
    [
        ("scale", "1/0"),
        ("scale", "nan"),
        ("scale", "__import__('os')"),
        ("mean", "1,2"),
        ("swap_rb", "true"),
        ("padding", "256"),
        ("padding", "-1"),
        ("skeleton", "dog"),
        ("nms_threshold", "high"),
        ("min_subset_cnt", "3.5"),
        ("person_score", "best"),
        ("net_side", "large"),
        ("gate", "high"),
        ("bytes", "1e6"),
        ("md5", "5156"),
        ("sha256", "g" * 64),
        ("use", "maybe"),
        ("name", "-"),
        ("weights", ""),
    ],
)
def test_a_bad_field_is_named_with_line_and_column(column: str, text: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=rf"line 2, column {column}: "):
        read_manifest(manifest_with(tmp_path, **{column: text}))


def test_a_manifest_with_a_column_too_many_or_too_few_is_refused(tmp_path: Path) -> None:
    path = manifest_with(tmp_path)
    whole = path.read_text(encoding="utf-8")
    path.write_text(whole.replace("licence", "license"), encoding="utf-8")
    with pytest.raises(ModelError, match="line 1: missing or unknown columns: licence, license"):
        read_manifest(path)
    path.write_text(whole.rstrip("\n") + "\textra\n", encoding="utf-8")
    with pytest.raises(ModelError, match=f"line 2: {len(models.COLUMNS) + 1} fields instead of {len(models.COLUMNS)}"):
        read_manifest(path)


def test_a_name_that_stands_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="tiny occurs twice"):
        read_manifest(manifest_with(tmp_path, aliases="TINY"))


def test_a_missing_manifest_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        read_manifest(tmp_path / "MANIFEST.tsv")


# ------------------------------------------------------------------------------------------------ models by name


@pytest.mark.parametrize("place", ["pose.caffemodel", FILES["coco"]])
def test_weights_are_found_in_the_models_folder_under_both_names(checkout: Path, place: str) -> None:
    weights = put(checkout / "coco" / place)
    model = find_model("coco", checkout)
    assert (model.name, model.caffemodel, model.prototxt) == ("coco", weights, checkout / "coco" / "pose.prototxt")
    assert model.skeleton is COCO
    assert model.use == "non-commercial"


@pytest.mark.parametrize(
    "place",
    [
        "coco/pose.caffemodel",
        f"coco/{FILES['coco']}",
        FILES["coco"],
        f"pose/coco/{FILES['coco']}",
    ],
)
@pytest.mark.parametrize("where", ["variable", "cache"])
def test_weights_are_found_in_the_folder_of_the_variable_and_in_the_cache(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, where: str
) -> None:
    folder = models.cache_folder("models")
    if where == "variable":
        folder = tmp_path / "elsewhere"
        monkeypatch.setenv("POSECV_MODELS", str(folder))
    weights = put(folder / place)
    assert find_model("coco", checkout).caffemodel == weights


def test_hand_weights_are_found_in_openposes_own_tree(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POSECV_MODELS", str(tmp_path / "openpose"))
    weights = put(tmp_path / "openpose" / "hand" / FILES["hand"])
    assert find_model("hand", checkout).caffemodel == weights


def test_the_models_folder_comes_before_the_variable_and_that_before_the_cache(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POSECV_MODELS", str(tmp_path / "elsewhere"))
    for folder in (models.cache_folder("models"), tmp_path / "elsewhere", checkout):
        weights = put(folder / "body_25" / "pose.caffemodel")
        assert find_model("body_25", checkout).caffemodel == weights


def test_mpi_4_stages_uses_mpis_weights_with_its_own_prototxt(checkout: Path) -> None:
    weights = put(checkout / "mpi" / FILES["mpi"])
    for name in ("mpi_4_stages", "MPI_4_layers", "mpi-4-stages"):
        model = find_model(name, checkout)
        assert (model.name, model.caffemodel) == ("mpi_4_stages", weights)
        assert model.prototxt == checkout / "mpi_4_stages" / "pose.prototxt"
        assert model.thresholds.nms_threshold == MPI_4_STAGES.thresholds.nms_threshold
    assert find_model("mpi", checkout).thresholds.nms_threshold == MPI.thresholds.nms_threshold


def test_a_model_without_a_prototxt_here_brings_its_own_beside_the_weights(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POSECV_MODELS", str(tmp_path))
    weights = put(tmp_path / "light-coco" / "pose.caffemodel")
    with pytest.raises(ModelError, match=r"prototxt of light-coco is missing"):
        find_model("light-coco", checkout)
    prototxt = put(tmp_path / "light-coco" / "pose.prototxt")
    model = find_model("light-coco", checkout)
    assert (model.caffemodel, model.prototxt) == (weights, prototxt)
    assert model.preprocessing.padding == 128


def test_an_unknown_name_gets_the_nearest_and_the_list() -> None:
    with pytest.raises(ModelError, match=r"'body25s'; did you mean body_25\? \(known: coco, mpi, .*light-coco.*\)"):
        find_model("body25s")


def test_a_path_given_as_a_name_is_told_to_need_its_prototxt() -> None:
    with pytest.raises(ModelError, match="also needs its prototxt"):
        find_model("models/pose.caffemodel")


@pytest.mark.skipif(sys.platform == "win32", reason="the script needs a Unix shell")
def test_missing_weights_say_where_they_were_looked_for_and_the_script_that_fetches_them(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(checkout.parent / "getModels.sh")
    put(tmp_path / "bin" / "bash").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(ModelError) as caught:
        find_model("mpi_4_stages", checkout)
    message = str(caught.value)
    assert "\n" not in message
    assert str(checkout) in message
    assert "$POSECV_MODELS (not set)" in message
    assert str(models.cache_folder("models")) in message
    assert message.endswith("run ./getModels.sh mpi")


def test_where_there_is_no_bash_missing_weights_say_address_hash_and_target(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(checkout.parent / "getModels.sh")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    row = next(row for row in manifest() if row.name == "coco")
    with pytest.raises(ModelError) as caught:
        find_model("coco", checkout)
    target = checkout / "coco" / "pose.caffemodel"
    assert str(caught.value).endswith(f"download {row.mirrors[0]} (MD5 {row.md5}) and save it as {target}")
    put(target)
    assert find_model("coco", checkout).caffemodel == target


def test_an_installed_package_names_the_cache_as_the_target(checkout: Path) -> None:
    package = checkout.parent / "_models"
    checkout.rename(package)
    with pytest.raises(ModelError) as caught:
        find_model("coco", package)
    target = models.cache_folder("models") / "coco" / "pose.caffemodel"
    assert str(caught.value).endswith(str(target))
    put(target)
    assert find_model("coco", package).caffemodel == target


def test_weights_that_nobody_offers_are_told_to_be_put_in_place(checkout: Path) -> None:
    with pytest.raises(ModelError, match="no download address is known"):
        find_model("light-coco", checkout)


def test_a_package_outside_a_checkout_finds_the_models_inside_itself(tmp_path: Path) -> None:
    package = tmp_path / "site" / "posecv"
    names = "arrays", "checks", "errors", "files", "geometry", "skeletons", "models"
    for name in ("__init__.py", *(f"{each}.py" for each in names)):
        put(package / name, b"" if name == "__init__.py" else (ROOT / "posecv" / name).read_bytes())
    put(package / "_models" / "MANIFEST.tsv", (ROOT / "models" / "MANIFEST.tsv").read_bytes())
    prototxt = put(package / "_models" / "hand" / "pose.prototxt")
    put(tmp_path / "weights" / FILES["hand"])
    program = "from posecv.models import find_model; print(find_model('hand').prototxt)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": str(tmp_path / "site"), "POSECV_MODELS": str(tmp_path / "weights")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(done.stdout.strip()).samefile(prototxt)


@pytest.mark.parametrize("outside", [True, False], ids=["another folder", "beside the zip"])
def test_a_package_in_a_zip_finds_the_models_inside_itself(outside: bool, tmp_path: Path) -> None:
    archive, temporary, cwd = tmp_path / "app.pyz", tmp_path / "temporary", tmp_path / "cwd"
    temporary.mkdir()
    cwd.mkdir()
    with zipfile.ZipFile(archive, "w") as file:  # what the wheel holds
        for path in (ROOT / "posecv").rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                file.write(path, path.relative_to(ROOT))
        for path in (ROOT / "models").rglob("*"):
            if path.is_file() and (path.suffix != ".caffemodel" or path.parent.name in OWN_NAMES):
                file.write(path, Path("posecv", "_models") / path.relative_to(ROOT / "models"))
    code = """
import pickle, numpy as np, posecv
from posecv.models import find_model
assert ".pyz" in posecv.__file__
network = posecv.load_network(engine="opencv")
assert network.model.name == "light_body"
assert find_model("light_body") == find_model("light_body")
picture = np.zeros((64, 64, 3), np.uint8)
assert len(posecv.estimate_people(network, picture, net_size=64)) == 0
assert posecv.load_network("light_hand", engine="opencv").skeleton.name == "hand"
again = pickle.loads(pickle.dumps(network))
blob = np.zeros((1, 3, 64, 64), np.float32)
assert (again.maps(blob) == network.maps(blob)).all()
open("network", "wb").write(pickle.dumps(network))
try:
    posecv.load_network("coco")
except posecv.PoseError as error:
    print(error)
"""
    env = os.environ | {"PYTHONPATH": str(archive), "TMPDIR": str(temporary), "TEMP": str(temporary)}
    env |= {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path), "POSECV_CACHE": str(tmp_path / "kept")}
    env.pop("POSECV_MODELS", None)
    folder = cwd if outside else tmp_path

    def run(program: str) -> str:
        words = [sys.executable, "-c", program]
        done = subprocess.run(words, env=env, cwd=folder, capture_output=True, text=True, timeout=120)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    said = run(code)
    assert said.count("\n") == 1
    assert "the weights of coco are missing" in said
    assert list(temporary.iterdir()) == []  # no copy is left
    # Whose copies are gone with the process that pickled it.
    assert run("import pickle; print(pickle.load(open('network', 'rb')).model.name)") == "light_body\n"


@pytest.mark.parametrize(
    ("platform", "variable", "folder"),
    [
        ("linux", "XDG_CACHE_HOME", "."),
        ("win32", "LOCALAPPDATA", "."),
        ("linux", None, ".cache"),
        ("win32", None, "AppData/Local"),
        ("darwin", None, "Library/Caches"),
    ],
)
def test_the_cache_is_where_the_system_wants_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, platform: str, variable: str | None, folder: str
) -> None:
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name in (variable,) if variable else ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    assert models.cache_folder("models", platform) == tmp_path / folder / "posecv" / "models"


@pytest.mark.parametrize("relative", ["cache", "./cache", "../cache"])
def test_a_relative_xdg_cache_home_is_ignored(relative: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", relative)
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    assert models.cache_folder("models", "linux") == tmp_path / ".cache" / "posecv" / "models"


# ----------------------------------------------------------------------------------------- models by their files


def test_a_pair_that_is_not_known_is_taken_for_one_of_openposes_kind(tmp_path: Path) -> None:
    prototxt, weights = put(tmp_path / "my.prototxt.txt"), put(tmp_path / "my_body.caffemodel")
    model = model_of_pair(prototxt, weights)
    assert (model.name, model.prototxt, model.caffemodel) == ("my_body", prototxt, weights)
    assert model.skeleton is None
    assert model.preprocessing == Preprocessing()
    assert model.thresholds == Thresholds()
    assert model.use == "unknown"


def test_a_known_caffemodel_gets_its_row_whatever_its_path(tmp_path: Path) -> None:
    content = b"twelve bytes"
    manifest_with(
        tmp_path, nms_threshold="0.2", padding="9", bytes=str(len(content)), sha256=hashlib.sha256(content).hexdigest()
    )
    prototxt, weights = put(tmp_path / "a.txt"), put(tmp_path / "renamed.bin", content)
    model = model_of_pair(prototxt, weights, tmp_path)
    assert (model.name, model.thresholds.nms_threshold, model.preprocessing.padding) == ("tiny", 0.2, 9)
    assert model.skeleton is COCO
    other = put(tmp_path / "other.bin", content[::-1])
    assert model_of_pair(prototxt, other, tmp_path).name == "other"


def test_a_file_of_no_known_size_is_not_hashed(tmp_path: Path) -> None:
    prototxt, weights = put(tmp_path / "a.prototxt"), put(tmp_path / "b.caffemodel")
    with opened_files() as opened:
        assert model_of_pair(prototxt, weights).name == "b"
    assert weights not in opened


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read anything")
@pytest.mark.parametrize("closed", ["a.prototxt", "b.caffemodel", "."])
def test_a_file_of_a_pair_that_may_not_be_read_is_named(tmp_path: Path, closed: str) -> None:
    pair = tmp_path / "a.prototxt", tmp_path / "b.caffemodel"
    for path in pair:
        path.write_text("text")
    (tmp_path / closed).chmod(0)
    try:
        with pytest.raises(ModelError, match=r"(a\.prototxt|b\.caffemodel): permission denied"):
            model_of_pair(*pair)
    finally:
        tmp_path.chmod(0o755)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may look anywhere")
def test_a_cache_folder_of_others_is_passed_by(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = checkout / "closed"
    closed.mkdir(mode=0)
    monkeypatch.setenv("XDG_CACHE_HOME", str(closed))
    with pytest.raises(ModelError, match="the weights of coco are missing"):
        find_model("coco", checkout)


@pytest.mark.parametrize("missing", ["a.prototxt", "b.caffemodel"])
def test_a_missing_file_of_a_pair_is_named(tmp_path: Path, missing: str) -> None:
    prototxt, weights = put(tmp_path / "a.prototxt"), put(tmp_path / "b.caffemodel")
    (tmp_path / missing).unlink()
    with pytest.raises(ModelError, match=rf"{missing}: no such file"):
        model_of_pair(prototxt, weights)
    (tmp_path / missing).mkdir()
    with pytest.raises(ModelError, match=rf"{missing}: a folder"):
        model_of_pair(prototxt, weights)


@pytest.mark.skipif(not LIGHT_COCO.is_dir(), reason="light-coco is not here (POSECV_SHARED)")
def test_light_coco_is_recognised_at_another_path(tmp_path: Path) -> None:
    weights = put(tmp_path / "weights.bin", (LIGHT_COCO / "pose.caffemodel").read_bytes())
    model = model_of_pair(LIGHT_COCO / "pose.prototxt", weights)
    assert (model.name, model.preprocessing.padding, model.caffemodel) == ("light-coco", 128, weights)
    assert model.skeleton is COCO


@pytest.mark.skipif(not LIGHT_COCO.is_dir(), reason="light-coco is not here (POSECV_SHARED)")
def test_light_coco_is_found_by_name_through_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSECV_MODELS", str(LIGHT_COCO.parent))
    assert find_model("light-coco").prototxt == LIGHT_COCO / "pose.prototxt"


# ------------------------------------------------------------------------------------- skeletons by their channels


@pytest.mark.parametrize("skeleton", [COCO, MPI, BODY_25, HAND, FACE])
def test_a_skeleton_is_recognised_by_its_channels(skeleton: Skeleton) -> None:
    assert skeleton_of_channels(skeleton.channels, SIX_STAGES) is skeleton


@pytest.mark.parametrize("skeleton", [COCO, MPI, BODY_25])
def test_heatmaps_alone_are_recognised_as_a_skeleton_without_fields(skeleton: Skeleton) -> None:
    found = skeleton_of_channels(skeleton.heatmaps, "")
    assert found
    assert found == replace(skeleton, paf_channels=())
    assert found.channels == skeleton.heatmaps


def test_the_last_stage_tells_mpi_from_its_four_stages() -> None:
    assert skeleton_of_channels(44, FOUR_STAGES) is MPI_4_STAGES
    assert skeleton_of_channels(44, SIX_STAGES) is MPI
    assert skeleton_of_channels(44, 'layer { name: "output" }') is MPI
    for name, skeleton in (("mpi", MPI), ("mpi_4_stages", MPI_4_STAGES)):
        text = (ROOT / "models" / name / "pose.prototxt").read_text(encoding="utf-8")
        assert skeleton_of_channels(44, text) is skeleton


def test_other_numbers_of_channels_are_no_known_skeleton() -> None:
    assert skeleton_of_channels(58, SIX_STAGES) is None
