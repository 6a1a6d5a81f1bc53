"""Signals over time: filters with the response of their formulas, whatever the frame rate."""

from __future__ import annotations

import numpy as np
import pytest

from posecv.errors import UsageError
from posecv.signals import OneEuro, butterworth, filled, hampel, low_pass, smoothed


def response(order: int, cutoff: float, rate: float, frequency: float) -> float:
    """The gain of a Butterworth filter after the bilinear transform: 1 / sqrt(1 + (tan ratio) ^ 2n)."""
    ratio = np.tan(np.pi * frequency / rate) / np.tan(np.pi * cutoff / rate)
    return float(1 / np.sqrt(1 + ratio ** (2 * order)))


class TestButterworth:
    @pytest.mark.parametrize("order", [1, 2, 3, 4, 8])
    @pytest.mark.parametrize(("cutoff", "rate"), [(6, 30), (2, 60), (12, 25)])
    def test_its_response_is_the_formulas(self, order: int, cutoff: float, rate: float) -> None:
        b, a = butterworth(order, cutoff, rate)
        for frequency in (0, cutoff / 2, cutoff, rate / 3):
            z = np.exp(-2j * np.pi * frequency / rate) ** np.arange(order + 1)
            assert abs(b @ z / (a @ z)) == pytest.approx(response(order, cutoff, rate, frequency), abs=1e-6)

    def test_scipy_has_the_same_coefficients(self) -> None:
        scipy = pytest.importorskip("scipy.signal", reason="SciPy is not installed")
        for order, cutoff, rate in ((2, 6, 30), (4, 5, 60), (3, 2.5, 24)):
            for own, theirs in zip(butterworth(order, cutoff, rate), scipy.butter(order, cutoff, fs=rate), strict=True):
                np.testing.assert_allclose(own, theirs, rtol=1e-9, atol=1e-12)

    @pytest.mark.parametrize(("order", "cutoff"), [(0, 5), (9, 5), (2, 0), (2, 15)])
    def test_what_cannot_be_is_refused(self, order: int, cutoff: float) -> None:
        with pytest.raises(UsageError, match="below half of 30"):
            butterworth(order, cutoff, 30)


class TestLowPass:
    @pytest.mark.parametrize("order", [2, 4])
    @pytest.mark.parametrize("frequency", [0.5, 3.0, 6.0])
    def test_a_wave_keeps_its_phase_and_loses_what_two_passes_take(self, order: int, frequency: float) -> None:
        rate, cutoff = 60.0, 6.0
        times = np.arange(1200) / rate
        wave = np.sin(2 * np.pi * frequency * times)
        single = cutoff / (np.sqrt(2) - 1) ** (1 / order)
        gain = response(order // 2, single, rate, frequency) ** 2
        np.testing.assert_allclose(low_pass(wave, rate, cutoff, order)[300:900], gain * wave[300:900], atol=1e-4)

    def test_lines_stay_lines_up_to_their_ends(self) -> None:
        line = np.stack([np.linspace(0, 50, 90), np.linspace(7, -3, 90)], axis=1)
        np.testing.assert_allclose(low_pass(line, 30.0), line, atol=1e-6)

    def test_a_cut_off_that_the_rate_cannot_have_changes_nothing(self) -> None:
        values = np.random.default_rng(0).normal(size=30)
        np.testing.assert_array_equal(low_pass(values, 10.0, 6.0), values)


class TestHampel:
    def test_spikes_are_found_in_every_column_and_steps_are_not(self) -> None:
        signal = np.zeros((40, 2)) + np.random.default_rng(0).normal(scale=0.1, size=(40, 2))
        signal[20:, 1] += 30
        signal[7, 0] = 9
        signal[33, 1] = -20
        found = hampel(signal, deviations=6)
        assert {tuple(map(int, place)) for place in np.argwhere(found)} == {(7, 0), (33, 1)}

    def test_missing_values_are_no_outliers_and_do_not_count(self) -> None:
        signal = np.array([1, np.nan, 1.1, np.nan, 90, np.nan, 0.9, 1.0, np.nan])
        assert hampel(signal).nonzero()[0].tolist() == [4]
        assert not hampel(np.full(9, np.nan)).any()


class TestGaps:
    @pytest.mark.parametrize("rate", [24, 30, 60])
    def test_gaps_are_filled_by_their_seconds_not_by_their_frames(self, rate: int) -> None:
        times = np.arange(2 * rate) / rate
        signal = 3 * times
        short, long = round(0.1 * rate), round(0.3 * rate)
        signal[5 : 5 + short - 1] = np.nan
        signal[rate : rate + long] = np.nan
        whole = filled(signal, times)
        np.testing.assert_allclose(whole[5 : 5 + short], 3 * times[5 : 5 + short])
        assert np.isnan(whole[rate : rate + long]).all()

    def test_nothing_is_filled_before_the_first_and_after_the_last_value(self) -> None:
        signal = np.array([np.nan, 1.0, np.nan, 3.0, np.nan])
        np.testing.assert_allclose(filled(signal, np.arange(5) / 30), [np.nan, 1, 2, 3, np.nan])


class TestSmoothed:
    def test_noise_falls_spikes_go_and_long_gaps_stay(self) -> None:
        rng = np.random.default_rng(3)
        times = np.cumsum(rng.uniform(0.02, 0.045, 400))  # irregular
        truth = 40 * np.sin(2 * np.pi * 0.7 * times)
        signal = truth + rng.normal(scale=1.0, size=400)
        signal[150] += 150
        signal[70] = np.nan
        signal[200:230] = np.nan
        result = smoothed(signal, times, cutoff=3)
        assert np.isnan(result[200:230]).all()
        assert np.isfinite(result[70])
        there = np.isfinite(result)
        error = result - truth
        assert np.sqrt(np.mean(error[there] ** 2)) < 0.6
        assert abs(error[150]) < 2

    def test_too_little_is_left_as_it_is(self) -> None:
        assert smoothed([5.0], [0.0]).tolist() == [5]
        assert np.isnan(smoothed([np.nan, np.nan], [0.0, 0.1])).all()


class TestOneEuro:
    def test_a_step_is_answered_as_the_formulas_say(self) -> None:
        euro = OneEuro(min_cutoff=1.0, beta=0.5, d_cutoff=1.0)
        assert euro(0.0, 0.0) == 0
        step = 0.1
        alpha_d = 1 / (1 + 1 / (2 * np.pi * step))
        speed = alpha_d * 10 / step
        alpha = 1 / (1 + 1 / (2 * np.pi * (1 + 0.5 * speed) * step))
        assert euro(10.0, step) == pytest.approx(10 * alpha)

    def test_what_is_still_becomes_quiet_and_what_moves_is_followed(self) -> None:
        rng = np.random.default_rng(0)
        times = np.arange(600) / 30
        noise = rng.normal(size=600)
        euro = OneEuro(0.5, 1.0)
        quiet = np.array([float(euro(value, time, 100.0)) for value, time in zip(noise, times, strict=True)])
        assert np.diff(quiet[60:], 2).std() < np.diff(noise[60:], 2).std() / 5
        euro = OneEuro(0.5, 1.0)
        moved = np.array([float(euro(300 * time, time, 100.0)) for time in times])
        assert (300 * times - moved)[300:].max() < 300 * 0.06  # less than 60 ms behind

    def test_the_unit_of_speed_makes_it_the_same_at_every_resolution(self) -> None:
        times = np.arange(60) / 30
        walk = 50 * times**2
        small, large = OneEuro(), OneEuro()
        for time, value in zip(times, walk, strict=True):
            assert 4 * float(small(value, time, 100.0)) == pytest.approx(float(large(4 * value, time, 400.0)))

    def test_missing_values_begin_anew(self) -> None:
        euro = OneEuro()
        euro([0.0, 0.0], 0.0)
        assert np.isnan(euro([np.nan, 1.0], 0.1)[0])
        assert euro([7.0, 1.0], 0.2)[0] == 7
