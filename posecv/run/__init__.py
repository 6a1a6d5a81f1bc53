"""Runs: connect sources, estimator, steps and outputs."""
