"""One line at the end of pytest's output that says why tests were skipped: `make test` loads it as a plugin."""

from __future__ import annotations

from collections import Counter

import pytest

MOST = 4  # reasons that are listed; -rs lists all


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Write the line."""
    reports = terminalreporter.stats.get("skipped", ())
    reasons = [report.longrepr[2].removeprefix("Skipped: ") for report in reports if isinstance(report.longrepr, tuple)]
    if reasons:
        terminalreporter.write_line(summary(reasons))


def summary(reasons: list[str]) -> str:
    """How many tests were skipped, and the most frequent reasons.

    >>> summary(["no browser", "no weights", "no weights"])
    '3 skipped: 2 no weights; 1 no browser'
    """
    counted = Counter(" ".join(reason.split()) for reason in reasons).most_common()
    told = [f"{count} {reason}" for reason, count in counted[:MOST]]
    rest = sum(count for _, count in counted[MOST:])
    if rest:
        told.append(f"{rest} for other reasons (-rs lists all)")
    return f"{len(reasons)} skipped: {'; '.join(told)}"
