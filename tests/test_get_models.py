"""getModels.sh against a mirror on localhost, with small files in the weights' place."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from mirror import Mirror, running_mirror

SCRIPT = Path(__file__).resolve().parent.parent / "getModels.sh"
BASH = shutil.which("bash")
HASHES = "sha256sum shasum md5sum md5"
NEEDED = f"awk cat cp dirname grep head ln ls mkdir mktemp mv ps rm rmdir sed sleep tail tr uname wc {HASHES}"
COLUMNS = "name aliases weights file bytes md5 sha256 use licence mirrors"
SIZE = 400_000

pytestmark = [
    pytest.mark.skipif(BASH is None, reason="getModels.sh needs bash"),
    pytest.mark.skipif(os.name == "nt", reason="hides programs by a PATH of symbolic links"),
]


def weights(name: str) -> bytes:
    """Bytes that stand for a caffemodel."""
    return b"\x0a" + random.Random(name).randbytes(SIZE - 1)


def digest(kind: str, data: bytes) -> str:
    return hashlib.new(kind, data).hexdigest()


@contextmanager
def interrupts_heeded() -> Iterator[None]:
    """Start programs that heed Ctrl-C, even where a shell made pytest ignore it as its background job."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def tools_folder(folder: Path, *names: str) -> Path:
    """Make a folder for PATH that holds these programs, as far as this machine has them."""
    folder.mkdir()
    for name in names:
        found = shutil.which(name)
        if found:
            (folder / name).symlink_to(found)
    return folder


def row(name: str, *mirrors: str, **values: str) -> dict[str, str]:
    """A model's row with right hashes and, unless `bytes` is given, no size."""
    data = weights(values.get("weights", name))
    known = {
        "name": name,
        "weights": name,
        "file": f"{values.get('weights', name)}_440000.caffemodel",
        "bytes": "-",
        "md5": digest("md5", data),
        "sha256": digest("sha256", data),
        "use": "non-commercial",
        "licence": "A licence",
        "mirrors": " ".join(mirrors) or "-",
    }
    return known | values


@dataclass
class Workshop:
    """A folder with a manifest of its own, and the script run on it."""

    folder: Path
    mirror: Mirror
    path: Path
    models: Path

    def manifest(self, *rows: dict[str, str], columns: str = COLUMNS) -> None:
        order = columns.split()
        lines = [order] + [[model.get(column, "-") for column in order] for model in rows]
        (self.folder / "MANIFEST.tsv").write_text("".join("\t".join(line) + "\n" for line in lines))

    def offer(self, *manners: str, name: str = "coco", **values: str) -> None:
        """Write a manifest of one model with a mirror for each manner."""
        self.manifest(row(name, *[self.mirror.url(manner, name) for manner in manners], **values))

    def command(self, *arguments: str) -> list[str]:
        return [str(BASH), str(SCRIPT), "--manifest", "MANIFEST.tsv", "--into", "models", *arguments]

    def environment(self) -> dict[str, str]:
        return {"PATH": str(self.path), "GETMODELS_TIMEOUT": "1", "TMPDIR": str(self.folder), "HOME": str(self.folder)}

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=30,
            check=False,
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start the script in a process group of its own, as a terminal does; it waits longer for the mirror."""
        with interrupts_heeded():
            return subprocess.Popen(
                self.command(*arguments),
                cwd=self.folder,
                env=self.environment() | {"GETMODELS_TIMEOUT": "30"},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )

    def put(self, name: str, data: bytes) -> Path:
        """Put a file into the folder of coco."""
        path = self.models / "coco" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def left(self, name: str = "coco") -> list[str]:
        """Everything in the folder of a model."""
        folder = self.models / name
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []

    def holds(self, name: str = "coco") -> bool:
        """Whether the folder of a model holds its right file and nothing else."""
        return self.left(name) == ["pose.caffemodel"] and (
            self.models / name / "pose.caffemodel"
        ).read_bytes() == weights(name)


@pytest.fixture(scope="module")
def server() -> Iterator[Mirror]:
    with running_mirror() as mirror:
        mirror.files = {name: weights(name) for name in ("coco", "mpi", "hand")}
        yield mirror


@pytest.fixture(params=["curl", "wget"])
def downloader(request: pytest.FixtureRequest) -> str:
    name = str(request.param)
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    return name


def make_workshop(folder: Path, mirror: Mirror, *tools: str) -> Workshop:
    mirror.forget()
    return Workshop(folder, mirror, tools_folder(folder / "bin", *NEEDED.split(), *tools), folder / "models")


@pytest.fixture
def shop(tmp_path: Path, server: Mirror, downloader: str) -> Workshop:
    """A workshop for each of the two downloaders, the other one hidden."""
    return make_workshop(tmp_path, server, downloader)


@pytest.fixture
def any_shop(tmp_path: Path, server: Mirror) -> Workshop:
    """A workshop for what does not depend on the downloader."""
    if not (shutil.which("curl") or shutil.which("wget")):
        pytest.skip("neither curl nor wget is installed")
    return make_workshop(tmp_path, server, "curl", "wget")


def wait_until(fact: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not fact():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.02)


# ---- Mirrors


def test_a_right_file_gets_its_final_name_and_nothing_else_is_left(shop: Workshop) -> None:
    shop.offer("whole")
    result = shop.run("coco")
    assert result.returncode == 0, result.stdout
    assert shop.holds()
    assert sorted(path.name for path in shop.folder.iterdir()) == ["MANIFEST.tsv", "bin", "models"]


def test_the_licence_stands_before_the_first_address(shop: Workshop) -> None:
    shop.offer("whole")
    output = shop.run("coco").stdout
    assert -1 < output.find("non-commercial use only (A licence)") < output.find("http://")


def test_a_second_run_asks_no_mirror(shop: Workshop) -> None:
    shop.offer("whole")
    shop.run("coco")
    shop.mirror.requests.clear()
    result = shop.run("coco")
    assert result.returncode == 0
    assert "is there, its SHA-256 is right" in result.stdout
    assert shop.mirror.requests == []
    assert shop.holds()


def test_redirects_are_followed(shop: Workshop) -> None:
    shop.offer("redirect")
    assert shop.run("coco").returncode == 0
    assert shop.holds()


@pytest.mark.parametrize(
    ("manner", "reason"),
    [
        ("403", "forbidden (HTTP 403)"),
        ("404", "not there (HTTP 404)"),
        ("500", "HTTP 500"),
        ("circle", "too many redirects"),
        ("page", "a web page instead of the file"),
        ("pointer", "a Git LFS pointer instead of the file"),
        ("wrong", "a wrong file"),
        ("silent", "timeout, silent for 1 s"),
        ("cut-without-ranges", "cut off"),
    ],
)
def test_the_next_mirror_serves_where_one_fails_and_the_reason_is_said(
    shop: Workshop, manner: str, reason: str
) -> None:
    shop.offer(manner, "whole")
    result = shop.run("coco")
    assert result.returncode == 0, result.stdout
    (failure,) = [line for line in result.stdout.splitlines() if " failed: " in line]
    assert failure.startswith(f"coco: {shop.mirror.url(manner, 'coco')} failed: {reason}")
    assert shop.holds()


def test_a_closed_port_is_no_connection(shop: Workshop) -> None:
    shop.manifest(row("coco", "http://127.0.0.1:1/coco", shop.mirror.url("whole", "coco")))
    result = shop.run("coco")
    assert "http://127.0.0.1:1/coco failed: no connection" in result.stdout
    assert shop.holds()


def test_a_slow_mirror_is_given_its_time(shop: Workshop) -> None:
    shop.offer("slow")
    assert shop.run("coco").returncode == 0
    assert shop.mirror.requests == ["slow/coco from 0"]
    assert shop.holds()


# ---- Resuming


def test_a_mirror_that_cuts_off_is_asked_for_the_rest(shop: Workshop) -> None:
    shop.offer("cut")
    result = shop.run("coco")
    assert result.returncode == 0, result.stdout
    first, second, *_ = shop.mirror.requests
    assert first == "cut/coco from 0"
    assert 0 < int(second.removeprefix("cut/coco from ")) <= SIZE // 2
    assert shop.holds()


def test_the_next_mirror_goes_on_where_one_cut_off(shop: Workshop) -> None:
    shop.offer("cut-once", "404", "whole")
    result = shop.run("coco")
    assert result.returncode == 0, result.stdout
    assert shop.mirror.requests[-1] == f"whole/coco from {SIZE // 2}"
    assert shop.holds()


def test_the_next_run_goes_on_where_all_mirrors_cut_off(shop: Workshop) -> None:
    shop.offer("cut-once")
    assert shop.run("coco").returncode == 1
    assert shop.left() == [".pose.caffemodel.part"]
    shop.offer("whole")
    assert shop.run("coco").returncode == 0
    assert shop.mirror.requests[-1] == f"whole/coco from {SIZE // 2}"
    assert shop.holds()


# curl reckons its speed over five seconds and notices only then.
@pytest.mark.parametrize("downloader", [pytest.param("curl", marks=pytest.mark.slow), "wget"], indirect=True)
def test_what_a_stalled_mirror_brought_is_gone_on_with(shop: Workshop) -> None:
    shop.offer("stall-once", "whole")
    result = shop.run("coco")
    assert result.returncode == 0, result.stdout
    assert "timeout, silent for 1 s after 0.2 MB" in result.stdout
    assert shop.mirror.requests[-1] == f"whole/coco from {SIZE // 2}"
    assert shop.holds()


def test_a_mirror_that_cannot_resume_sends_the_file_anew(shop: Workshop) -> None:
    shop.offer("without-ranges")
    shop.put(".pose.caffemodel.part", weights("coco")[:100_000])
    result = shop.run("coco")
    assert result.returncode == 0, result.stdout
    assert shop.holds()


@pytest.mark.parametrize("manner", ["404", "page", "cut-without-ranges"])
def test_a_bad_mirror_costs_nothing_of_the_longer_half(shop: Workshop, manner: str) -> None:
    shop.offer(manner)
    shop.put(".pose.caffemodel.part", weights("coco")[:300_000])
    assert shop.run("coco").returncode == 1
    assert shop.left() == [".pose.caffemodel.part"]
    assert (shop.models / "coco" / ".pose.caffemodel.part").read_bytes() == weights("coco")[:300_000]


@pytest.mark.parametrize("manner", ["offset", "offset-unsaid"])
def test_a_half_is_not_continued_with_what_begins_elsewhere(shop: Workshop, manner: str) -> None:
    data = weights("coco")
    shop.offer(manner, "whole", bytes=str(len(data)))
    shop.put(".pose.caffemodel.part", data[: len(data) // 2])
    result = shop.run("coco")
    assert result.returncode == 0, result.stdout
    assert shop.holds()


@pytest.mark.parametrize("half", [0, 1000])
def test_a_mirror_that_never_ends_is_left_at_the_listed_size(shop: Workshop, half: int) -> None:
    data = weights("coco")
    shop.offer("endless-wrong", "endless", bytes=str(len(data)))
    if half:
        shop.put(".pose.caffemodel.part", data[:half])
    result = shop.run("coco")
    assert result.returncode == 0, result.stdout
    assert shop.holds()
    assert shop.mirror.url("endless-wrong", "coco") + " failed: a wrong file" in result.stdout


def test_a_damaged_half_is_fetched_anew_once(shop: Workshop) -> None:
    shop.offer("whole")
    shop.put(".pose.caffemodel.part", bytes(100_000))
    result = shop.run("coco")
    assert result.returncode == 0, result.stdout
    assert shop.mirror.requests == ["whole/coco from 100000", "whole/coco from 0"]
    assert "what was resumed has the wrong SHA-256; starting anew" in result.stdout
    assert shop.holds()


def test_a_half_of_a_wrong_file_does_not_spoil_the_right_one(shop: Workshop) -> None:
    shop.offer("wrong", "whole")
    shop.put(".pose.caffemodel.part", weights("coco")[:300_000])
    assert shop.run("coco").returncode == 0
    assert shop.holds()


def test_a_half_longer_than_the_file_is_fetched_anew(shop: Workshop) -> None:
    shop.offer("whole")
    shop.put(".pose.caffemodel.part", bytes(SIZE + 1))
    result = shop.run("coco")
    assert result.returncode == 0, result.stdout
    assert shop.holds()


def test_a_download_that_is_whole_but_was_not_named_yet_is_not_repeated(any_shop: Workshop) -> None:
    any_shop.offer("whole")
    any_shop.put(".pose.caffemodel.part", weights("coco"))
    assert any_shop.run("coco").returncode == 0
    assert any_shop.mirror.requests == []
    assert any_shop.holds()


def test_a_short_file_is_a_cut_off_one_where_the_size_is_certain(shop: Workshop) -> None:
    shop.offer("cut-without-length", "whole", bytes=str(SIZE))
    result = shop.run("coco")
    assert result.returncode == 0, result.stdout
    assert f"{shop.mirror.url('cut-without-length', 'coco')} failed: " in result.stdout
    assert shop.mirror.requests[-1] == f"whole/coco from {SIZE // 2}"
    assert shop.holds()


# ---- Hashes


def test_where_no_sha256_is_known_the_md5_decides(any_shop: Workshop) -> None:
    any_shop.offer("wrong", "whole", sha256="-")
    result = any_shop.run("coco")
    assert result.returncode == 0
    assert "wrong file" in result.stdout
    assert "its MD5 is right" in result.stdout
    assert any_shop.holds()


@pytest.mark.parametrize(
    ("tool", "sha256", "said"),
    [
        ("sha256sum", "known", "SHA-256"),
        ("shasum", "known", "SHA-256"),
        ("openssl", "known", "SHA-256"),
        ("md5sum", "known", "MD5"),
        ("md5sum", "-", "MD5"),
        ("openssl", "-", "MD5"),
        ("md5", "-", "MD5"),
    ],
)
def test_each_hash_program_alone_is_enough(any_shop: Workshop, tool: str, sha256: str, said: str) -> None:
    program = shutil.which(tool)
    if program is None and tool != "md5":
        pytest.skip(f"{tool} is not installed")
    for other in HASHES.split():
        (any_shop.path / other).unlink(missing_ok=True)
    if program is None:  # macOS's md5 prints the bare hash of its standard input
        stand_in = f"#!{BASH}\n'{shutil.which('md5sum')}' | {{ read -r sum rest; echo \"$sum\"; }}\n"
        (any_shop.path / tool).write_text(stand_in)
        (any_shop.path / tool).chmod(0o755)
    else:
        (any_shop.path / tool).symlink_to(program)
    any_shop.offer("wrong", "whole", **({"sha256": "-"} if sha256 == "-" else {}))
    result = any_shop.run("coco")
    assert result.returncode == 0, result.stdout
    assert f"is here, its {said} is right" in result.stdout
    assert any_shop.holds()


def test_without_a_hash_program_nothing_is_fetched(any_shop: Workshop) -> None:
    for tool in HASHES.split():
        (any_shop.path / tool).unlink(missing_ok=True)
    any_shop.offer("whole")
    result = any_shop.run("coco")
    assert result.returncode == 1
    assert "openssl is needed" in result.stdout
    assert any_shop.mirror.requests == []


# ---- By hand


def test_when_all_mirrors_fail_it_says_what_to_do_by_hand(shop: Workshop) -> None:
    shop.offer("403", "404")
    result = shop.run("coco")
    assert result.returncode == 1
    advice = result.stdout[result.stdout.index("By hand") :]
    model = row("coco")
    for fact in (
        shop.mirror.url("403", "coco"),
        shop.mirror.url("404", "coco"),
        str(shop.models / "coco" / "pose.caffemodel"),
        model["file"],
        model["md5"],
        model["sha256"],
    ):
        assert fact in advice
    assert shop.left() == []


@pytest.mark.parametrize("name", ["pose.caffemodel", "coco_440000.caffemodel"])
def test_a_right_file_put_there_by_hand_is_taken(any_shop: Workshop, name: str) -> None:
    any_shop.offer("404")
    put = any_shop.put(name, weights("coco"))
    result = any_shop.run("coco")
    assert result.returncode == 0, result.stdout
    assert f"coco: {put} is t" in result.stdout  # "is there" or "is taken"
    assert any_shop.mirror.requests == []
    assert any_shop.left() == sorted({name, "pose.caffemodel"})
    assert (any_shop.models / "coco" / "pose.caffemodel").read_bytes() == weights("coco")


def test_a_file_by_hand_serves_a_model_without_any_address(any_shop: Workshop) -> None:
    any_shop.offer()
    any_shop.put("pose.caffemodel", weights("coco"))
    assert any_shop.run("coco").returncode == 0


def test_a_wrong_file_by_hand_stays_until_a_right_one_is_there(any_shop: Workshop) -> None:
    any_shop.offer("404")
    put = any_shop.put("pose.caffemodel", b"my own weights")
    result = any_shop.run("coco")
    assert result.returncode == 1
    assert "a wrong file (14 bytes" in result.stdout
    assert put.read_bytes() == b"my own weights"
    assert any_shop.left() == ["pose.caffemodel"]


def test_a_wrong_file_by_hand_is_kept_beside_the_right_one(any_shop: Workshop) -> None:
    any_shop.offer("whole")
    any_shop.put("pose.caffemodel", b"my own weights")
    any_shop.put("pose.other.caffemodel", b"older weights")
    any_shop.put("coco_440000.caffemodel", b"<html>")
    result = any_shop.run("coco")
    assert result.returncode == 0, result.stdout
    folder = any_shop.models / "coco"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        "pose.caffemodel": weights("coco"),
        "pose.other.caffemodel": b"older weights",
        "pose.other-2.caffemodel": b"my own weights",
        "coco_440000.caffemodel": b"<html>",
    }
    assert "pose.other-2.caffemodel" in result.stdout
    assert "coco_440000.caffemodel is not taken, it is a web page" in result.stdout


def test_without_curl_and_wget_the_way_by_hand_is_shown(tmp_path: Path, server: Mirror) -> None:
    shop = make_workshop(tmp_path, server)
    shop.offer("whole")
    result = shop.run("coco")
    assert result.returncode == 1
    assert "neither curl nor wget" in result.stdout
    assert "By hand" in result.stdout


# ---- Names


def test_without_a_name_coco_is_fetched(any_shop: Workshop) -> None:
    urls = {name: any_shop.mirror.url("whole", name) for name in ("coco", "hand")}
    any_shop.manifest(row("hand", urls["hand"]), row("coco", urls["coco"]))
    assert any_shop.run().returncode == 0
    assert any_shop.holds("coco")
    assert not any_shop.left("hand")


def test_models_that_share_a_file_fetch_it_once(any_shop: Workshop) -> None:
    url = any_shop.mirror.url("whole", "mpi")
    any_shop.manifest(row("mpi", url), row("mpi_4_stages", url, weights="mpi", aliases="MPI_4_layers"))
    result = any_shop.run("mpi_4_layers", "mpi")
    assert result.returncode == 0, result.stdout
    assert any_shop.mirror.requests == ["whole/mpi from 0"]
    assert any_shop.holds("mpi")
    assert not any_shop.left("mpi_4_stages")


def test_all_means_every_model_with_an_address(any_shop: Workshop) -> None:
    url = any_shop.mirror.url
    any_shop.manifest(
        row("coco", url("whole", "coco")),
        row("mpi", url("whole", "mpi")),
        row("mpi_4_stages", url("whole", "mpi"), weights="mpi"),
        row("hand"),
    )
    result = any_shop.run("--all")
    assert result.returncode == 0, result.stdout
    assert any_shop.holds("coco")
    assert any_shop.holds("mpi")
    assert not any_shop.left("hand")


def test_one_missing_model_makes_the_run_fail_and_the_others_come(any_shop: Workshop) -> None:
    url = any_shop.mirror.url
    any_shop.manifest(row("hand", url("404", "hand")), row("light"), row("coco", url("whole", "coco")))
    result = any_shop.run("hand", "light", "coco")
    assert result.returncode == 1
    assert any_shop.holds("coco")
    assert "no public address is known" in result.stdout
    assert result.stdout.splitlines()[-1] == "Missing: hand light."


def test_columns_are_found_by_name_in_any_order(any_shop: Workshop) -> None:
    order = "mirrors skeleton licence md5 name sha256 weights use file"
    any_shop.manifest(row("coco", any_shop.mirror.url("whole", "coco")), columns=order)
    path = any_shop.folder / "MANIFEST.tsv"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert any_shop.run("COCO").returncode == 0
    assert any_shop.holds()


def test_list_tells_what_is_there_and_fetches_nothing(any_shop: Workshop) -> None:
    url = any_shop.mirror.url
    any_shop.manifest(
        row("coco", url("whole", "coco"), bytes="209274056"),
        row("mpi", url("whole", "mpi"), aliases="mpii"),
        row("light", use="any", licence="Apache-2.0"),
    )
    any_shop.put("pose.caffemodel", weights("coco"))
    result = any_shop.run("--list")
    assert result.returncode == 0
    _, coco, mpi, light = (line.split() for line in result.stdout.splitlines())
    assert coco[:4] == ["coco", "there", "209.3", "MB"]
    assert mpi[:3] == ["mpi,", "mpii", "missing"]
    assert light[:3] == ["light", "no", "address"]
    assert any_shop.mirror.requests == []


@pytest.mark.parametrize("way", ["sh", "link", "link to a link", "CDPATH"])
def test_it_finds_its_models_however_it_is_called(tmp_path: Path, way: str) -> None:
    checkout = tmp_path / "checkout"
    (checkout / "models").mkdir(parents=True)
    shutil.copy(SCRIPT, checkout)
    (checkout / "models" / "MANIFEST.tsv").write_text("name\tweights\tmirrors\nmine\tmine\thttp://localhost/a\n")
    (tmp_path / "elsewhere" / "checkout").mkdir(parents=True)  # what CDPATH would lead to
    (tmp_path / "link").symlink_to("checkout/getModels.sh")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "link").symlink_to("../link")
    command = {"sh": ["sh", "checkout/getModels.sh"], "link": ["./link"], "link to a link": ["bin/link"]}
    result = subprocess.run(
        [*command.get(way, [str(BASH), "checkout/getModels.sh"]), "--list"],
        cwd=tmp_path,
        env=os.environ | {"CDPATH": str(tmp_path / "elsewhere")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert [line.split()[0] for line in result.stdout.splitlines()[1:]] == ["mine"]


@pytest.mark.parametrize("option", ["output = elsewhere", "remote-name", "include", "head"])
def test_a_curlrc_changes_nothing(any_shop: Workshop, option: str) -> None:
    if not (any_shop.path / "curl").exists():
        pytest.skip("curl is not installed")
    (any_shop.folder / ".curlrc").write_text(f"{option}\n")
    any_shop.offer("whole")
    result = any_shop.run("coco")
    assert result.returncode == 0, result.stdout
    assert any_shop.holds()


def test_the_real_manifest_is_listed_from_any_folder(tmp_path: Path) -> None:
    if not (SCRIPT.parent / "models" / "MANIFEST.tsv").is_file():
        pytest.skip("models/MANIFEST.tsv is not there")
    result = subprocess.run(
        [str(BASH), str(SCRIPT), "--list"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert {"coco", "mpi,", "body_25,", "hand", "face"} <= {line.split()[0] for line in result.stdout.splitlines()}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["coco", "cocoo"], "there is no model cocoo; there are: coco"),
        (["--every"], "there is no option '--every'"),
        (["--into"], "--into needs a value"),
        (["--manifest", "elsewhere.tsv"], "cannot read the list of models, elsewhere.tsv"),
        (["--manifest", "/dev/null"], "is no list of models"),
    ],
)
def test_wrong_usage_exits_with_2_before_anything_is_fetched(
    any_shop: Workshop, arguments: list[str], said: str
) -> None:
    any_shop.offer("whole")
    result = any_shop.run(*arguments)
    assert result.returncode == 2
    assert said in result.stdout
    assert any_shop.mirror.requests == []


def test_help_names_every_option_and_exits_with_0(any_shop: Workshop) -> None:
    result = any_shop.run("--help")
    assert result.returncode == 0
    for word in ("--all", "--list", "--into", "--manifest", "GETMODELS_TIMEOUT", "coco"):
        assert word in result.stdout


# ---- Interruptions and company


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_leaves_a_half_that_the_next_one_goes_on_with(
    shop: Workshop, number: signal.Signals, code: int
) -> None:
    shop.offer("held")
    part = shop.models / "coco" / ".pose.caffemodel.part"
    process = shop.start("coco")
    wait_until(lambda: part.is_file() and part.stat().st_size > SIZE // 4)
    os.killpg(process.pid, number)
    output, _ = process.communicate(timeout=10)
    assert process.returncode == code, output
    assert "interrupted; what has arrived is kept" in output
    assert shop.left() == [part.name]
    assert sorted(path.name for path in shop.folder.iterdir()) == ["MANIFEST.tsv", "bin", "models"]
    half = part.stat().st_size
    assert part.read_bytes() == weights("coco")[:half]
    shop.offer("whole")
    assert shop.run("coco").returncode == 0
    assert shop.mirror.requests[-1] == f"whole/coco from {half}"
    assert shop.holds()


def test_two_runs_at_once_fetch_a_file_once(any_shop: Workshop) -> None:
    any_shop.offer("held")
    first = any_shop.start("coco")
    wait_until(lambda: bool(any_shop.mirror.requests))
    second = any_shop.start("coco")
    assert second.stdout is not None
    assert f"process {first.pid} is fetching it, waiting" in second.stdout.readline()
    any_shop.mirror.hold.set()
    for run in (first, second):
        output, _ = run.communicate(timeout=20)
        assert run.returncode == 0, output
    assert any_shop.mirror.requests == ["held/coco from 0"]
    assert any_shop.holds()


def test_the_lock_of_a_run_that_was_killed_is_removed_and_told(any_shop: Workshop) -> None:
    any_shop.offer("held")
    process = any_shop.start("coco")
    part = any_shop.models / "coco" / ".pose.caffemodel.part"
    wait_until(lambda: part.is_file() and part.stat().st_size > 0)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=10)
    assert ".getModels.lock" in any_shop.left()
    any_shop.offer("whole")
    result = any_shop.run("coco")
    assert result.returncode == 0, result.stdout
    assert f"removed the stale lock of process {process.pid}" in result.stdout
    assert any_shop.mirror.requests[-1] != "whole/coco from 0"
    assert any_shop.holds()


def test_a_lock_from_another_host_is_not_touched(any_shop: Workshop) -> None:
    any_shop.offer("whole")
    lock = any_shop.models / "coco" / ".getModels.lock" / "elsewhere.example.17"
    lock.mkdir(parents=True)
    result = any_shop.run("coco")
    assert result.returncode == 1
    assert "a run on elsewhere.example is fetching it" in result.stdout
    assert lock.is_dir()
    assert any_shop.mirror.requests == []


def test_a_lock_that_nobody_holds_is_taken(any_shop: Workshop) -> None:
    any_shop.offer("whole")
    (any_shop.models / "coco" / ".getModels.lock").mkdir(parents=True)
    assert any_shop.run("coco").returncode == 0
    assert any_shop.holds()


def test_a_file_in_the_folders_place_is_named(any_shop: Workshop) -> None:
    any_shop.offer("whole")
    any_shop.models.write_bytes(b"")
    result = any_shop.run("coco")
    assert result.returncode == 1
    assert f"cannot make the folder {any_shop.models / 'coco'}" in result.stdout
