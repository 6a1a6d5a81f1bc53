"""Runs: sources, estimator, steps and outputs put together."""
