"""Batches on a cluster of Ray and in an object store, on this machine: a head and three nodes, of which one dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import pytest

import posecv
from conftest import HIDDEN, REPOSITORY
from networks import Pair
from test_batch import assert_same, expected
from walking import film, walk

pytestmark = pytest.mark.slow
IMAGES = 240


def begun(coco: Pair, *words: str | Path, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
    """posecv batch, which goes on while the test looks at what it does."""
    known = {name: value for name, value in os.environ.items() if name not in HIDDEN}
    command = [sys.executable, "-m", "posecv", "batch", *map(str, words), "-p", str(coco[0]), "-m", str(coco[1])]
    known |= {"PYTHONPATH": str(REPOSITORY), **(env or {})}
    return subprocess.Popen(command, env=known, stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cluster") / "in"
    folder.mkdir()
    for number in range(IMAGES):
        cv2.imwrite(str(folder / f"{number}.png"), walk(number % 30))
    film(folder / "film.avi", 30)
    return folder


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A head without CPUs and three nodes with one each."""
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    utils = pytest.importorskip("ray.cluster_utils", reason="Ray is not installed")
    os.environ["PYTHONPATH"] = str(REPOSITORY)  # the nodes' workers import posecv from here
    made = utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    made.three = [made.add_node(num_cpus=1) for _ in range(3)]
    yield made
    made.shutdown()


def parts(out: Path) -> int:
    return len(list(out.glob("parts/*.parquet")))


def wait_for(count: int, out: Path, run: subprocess.Popen[str]) -> None:
    while parts(out) < count and run.poll() is None:
        time.sleep(0.05)
    assert run.poll() is None, run.communicate()[1]


def actors() -> list[int]:
    """The processes of the actors that work."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdecimal() and (folder / "cmdline").read_bytes().startswith(b"ray::_Actor"):
                found.append(int(folder.name))
        except OSError:  # it has just ended
            continue
    return found


@pytest.mark.filterwarnings("default")
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_every_row_is_there_once_after_a_node_an_actor_and_the_driver_were_killed(
    cluster: Any, coco: Pair, inputs: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    words = [inputs, "-o", out, "--ray", cluster.address, "--shard-size", "8"]
    first = begun(coco, *words)
    wait_for(3, out, first)
    cluster.remove_node(cluster.three[0], allow_graceful=False)
    wait_for(8, out, first)
    os.kill(actors()[0], signal.SIGKILL)
    wait_for(14, out, first)
    first.kill()
    first.communicate()
    last = begun(coco, *words)
    _, said = last.communicate(timeout=400)
    assert last.returncode == 0, said
    assert_same(posecv.read_results(out), expected(coco, inputs))


@pytest.mark.filterwarnings("default")
def test_an_object_store_is_an_input_and_an_output(coco: Pair, tmp_path: Path) -> None:
    server = pytest.importorskip("moto.server", reason="moto is not installed")
    s3fs = pytest.importorskip("s3fs", reason="s3fs is not installed")
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    store = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    store.start()
    host, port = store.get_host_and_port()
    access = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}
    access["AWS_ENDPOINT_URL"] = access["FSSPEC_S3_ENDPOINT_URL"] = f"http://{host}:{port}"
    os.environ |= access
    try:
        files = s3fs.S3FileSystem()
        files.mkdir("photos")
        files.mkdir("results")
        for number in range(4):
            files.pipe_file(f"photos/{number}.png", cv2.imencode(".png", walk(number))[1].tobytes())
        run = begun(coco, "s3://photos/", "-o", "s3://results/run1", "--workers", "2", "--shard-size", "2")
        _, said = run.communicate(timeout=240)
        assert run.returncode == 0, said
        found = {result.source.name: result.people.keypoints for result in posecv.read_results("s3://results/run1")}
        network = posecv.load_network(*coco)
        assert sorted(found) == [f"{number}.png" for number in range(4)]
        for number in range(4):
            wanted = posecv.estimate_people(network, walk(number)).keypoints
            assert (found[f"{number}.png"] == wanted).all()
    finally:
        store.stop()
        for name in access:
            os.environ.pop(name)
