# make demo    people found in the photographs of samples/, drawn into demo_output/
# make test    the tests
# Both make .venv and put into it what they need. PYTHON names the Python they make it with.

PYTHON ?= python3
PYTEST ?= -m "not slow"
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

# The wheel with windows needs these of the system; where one is missing, the headless wheel does the same work.
WINDOWS := import ctypes, sys; \
	sys.platform.startswith("linux") and [ctypes.CDLL(name) for name in ("libGL.so.1", "libgthread-2.0.so.0")]

.PHONY: demo test check clean

demo: .venv/run.stamp
	$(BIN)/python tools/demo.py

test: .venv/dev.stamp
	$(BIN)/python -m pytest $(PYTEST)

check: .venv/dev.stamp
	$(BIN)/python -m ruff check .
	$(BIN)/python -m mypy

clean:
	rm -rf .venv .venv-* build dist demo_output .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit("posecv needs Python 3.10 or newer: make PYTHON=..." if sys.version_info < (3, 10) else 0)'
	$(PYTHON) -m venv .venv

.venv/run.stamp: requirements.txt | .venv/bin/python
	@wheel=opencv-python; $(PYTHON) -c '$(WINDOWS)' 2>/dev/null || wheel=opencv-python-headless; \
	echo "installing into .venv: $$wheel, numpy, imutils"; \
	sed "s/^opencv-python/$$wheel/" requirements.txt > .venv/requirements.txt
	@$(PIP) -r .venv/requirements.txt
	@touch $@

.venv/dev.stamp: pyproject.toml .venv/run.stamp
	@echo "installing into .venv: what the tests need"
	@sed -n '/^dev = \[/,/^\]/s/^ *"\(.*\)",$$/\1/p' pyproject.toml > .venv/dev.txt
	@$(PIP) -r .venv/dev.txt
	@touch $@
