"""Domains: which of them features can tell apart, and what the command writes."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from posecv.app import domain as command
from posecv.degrade import degrade, degrade_as_keras
from posecv.domain import DOMAINS, FEATURES, Classifier, features, load_classifier
from posecv.errors import ModelError
from posecv.sources.pictures import read_picture


def feature(frame: np.ndarray, name: str) -> float:
    return float(features(frame)[FEATURES.index(name)])


@pytest.fixture
def texture() -> np.ndarray:
    """Smooth random texture, the same across and down."""
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2), None, 0, 255, cv2.NORM_MINMAX)


class TestFeatures:
    def test_levels_are_those_of_the_brightest_channel(self) -> None:
        frame = np.zeros((100, 100, 3), np.uint8)
        frame[..., 1] = 51
        frame[:2, :, 2] = 204  # 2 % of the pixels
        assert feature(frame, "brightest") == feature(frame, "bright") == 204 / 255
        assert feature(frame, "mean") == pytest.approx((0.98 * 51 + 0.02 * 204) / 255)
        assert feature(frame, "above_half") == pytest.approx(np.log(0.02 + 1e-4))

    def test_a_blur_across_takes_the_slopes_across(self, texture: np.ndarray) -> None:
        assert feature(texture, "ratio_1") == pytest.approx(0, abs=0.1)
        assert feature(degrade_as_keras(texture, "motion_blur"), "ratio_1") < -1
        turned = np.ascontiguousarray(np.transpose(texture, (1, 0, 2)))
        assert feature(turned, "slope_x") == pytest.approx(feature(texture, "slope_y"), abs=1e-9)

    def test_enlarged_pixels_come_in_pairs(self, texture: np.ndarray) -> None:
        half = texture[::2, ::2]
        enlarged = np.repeat(np.repeat(half, 2, axis=0), 2, axis=1)
        assert feature(enlarged, "equal_x") > 0.5
        assert feature(enlarged, "pairs_x") > 3
        assert feature(texture, "pairs_x") < 0.1

    @pytest.mark.parametrize("shape", [(1, 1), (3, 900), (900, 3), (2000, 2000), (17, 17)])
    def test_every_size_has_finite_features(self, shape: tuple[int, int]) -> None:
        for frame in (np.zeros((*shape, 3), np.uint8), np.full((*shape, 3), 255, np.uint8)):
            assert np.isfinite(features(frame)).all()


class TestClassifier:
    def test_probabilities_are_the_softmax_of_the_logits(self) -> None:
        size = len(FEATURES)
        weights = np.zeros((size + 1, len(DOMAINS)))
        weights[-1] = np.log([1, 2, 3, 4, 10])
        found = Classifier(np.zeros(size), np.ones(size), weights)(np.zeros((20, 20, 3), np.uint8))
        assert list(found) == list(DOMAINS)
        assert list(found.values()) == pytest.approx([0.05, 0.1, 0.15, 0.2, 0.5])

    @pytest.mark.parametrize("name", ["astronaut", "camera", "grace_hopper", "player", "team"])
    def test_the_samples_are_told_as_they_are_and_degraded(self, name: str, repository: Path) -> None:
        classifier = load_classifier()
        frame = read_picture(repository / "samples" / f"{name}.jpg")
        views = {
            "normal": frame,
            "dark": degrade_as_keras(frame, "dark"),
            "motion_blur": degrade_as_keras(frame, "motion_blur"),
            "low_resolution": degrade(frame, "low_resolution", strength=0.25),
            "noise": degrade(frame, "noise", strength=20, rng=0),
        }
        for domain, view in views.items():
            found = classifier(view)
            assert max(found, key=found.__getitem__) == domain

    def test_weights_that_are_missing_damaged_or_of_another_kind_get_one_line(self, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match="install posecv again"):
            load_classifier(tmp_path)
        (tmp_path / "domain").mkdir()
        for text, said in (("{", "is damaged"), ('{"mean": [], "deviation": [], "weights": []}', "another version")):
            (tmp_path / "domain" / "weights.json").write_text(text)
            with pytest.raises(ModelError, match=said):
                load_classifier(tmp_path)


def test_the_command_writes_an_entry_for_each_argument_in_order(
    repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = tmp_path / "b_0042.png", tmp_path / "plain.png"
    cv2.imwrite(str(first), degrade_as_keras(read_picture(repository / "samples" / "team.jpg"), "dark"))
    cv2.imwrite(str(second), read_picture(repository / "samples" / "team.jpg"))
    told = tmp_path / "domains.json"
    assert command.main([str(first), str(second), str(first), "--json", str(told)]) == 0
    entries = json.loads(told.read_text())
    assert [entry["image_id"] for entry in entries] == [42, "plain.png", 42]
    for entry in entries:
        assert sum(entry["effect_prob"]) == pytest.approx(1, abs=1e-5)
    assert [int(np.argmax(entry["effect_prob"])) for entry in entries] == [1, 0, 1]
    assert capsys.readouterr().out.splitlines()[0].startswith(f"{first}: dark ")
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"none")
    assert command.main([str(broken), str(second)]) == 1
    assert command.main([str(broken)]) == 2
