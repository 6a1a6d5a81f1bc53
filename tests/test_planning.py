"""What a large batch would take: rates times numbers."""

from __future__ import annotations

import re

import cv2
import pytest

from figures import Finds
from posecv.app import planning
from posecv.batch.planning import Rates, measured, plan
from posecv.errors import UsageError
from walking import walk


def test_everything_is_proportional_to_the_images_and_cores_share_the_hours() -> None:
    rates = Rates(decoding=0.01, people=0.08, size=1000)
    one, two = (plan(count, rates, cores=10, people=3, price=0.5) for count in (36_000, 72_000))
    assert one.core_hours == pytest.approx(36_000 * 0.09 / 0.9 / 3600)
    assert one.hours == pytest.approx(one.core_hours / 10)
    assert one.price == pytest.approx(0.5 * one.core_hours)
    assert one.bandwidth == pytest.approx(one.read / (3600 * one.hours))
    for name in ("core_hours", "hours", "read", "written", "price", "requests"):
        assert getattr(two, name) == pytest.approx(2 * getattr(one, name))
    assert plan(36_000, rates, cores=10, people=3, compact=True).written < one.written


def test_an_image_without_anybody_has_a_row_too() -> None:
    rates = Rates(0.01, 0.08, 1000)
    assert plan(10, rates, cores=1, people=0.2).written == plan(10, rates, cores=1, people=1).written


def test_less_than_one_is_refused() -> None:
    with pytest.raises(UsageError, match="cores=0"):
        plan(10, Rates(1, 1, 1), cores=0)


def test_the_size_of_files_is_their_mean() -> None:
    files = [cv2.imencode(".png", walk(number))[1].tobytes() for number in range(2)]
    rates = measured(Finds(), files, seconds=0)
    assert rates.size == sum(map(len, files)) / 2
    assert rates.decoding > 0


def test_the_command_says_what_it_measured(coco: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    threads = cv2.getNumThreads()
    words = ["--pictures", "1e6", "--cores", "4", "--price", "0.1", "-p", str(coco[0]), "-m", str(coco[1])]
    assert planning.main(words) == 0
    said = capsys.readouterr().out
    assert "1,000,000 images" in said
    hours, shared = (float(text.replace(",", "")) for text in re.findall(r"([\d,.]+) hours of", said))
    assert shared == pytest.approx(hours / 4, abs=0.13)
    assert planning.main(["--pictures", "5", "-i", "nothing.jpg"]) == 2
    cv2.setNumThreads(threads)
