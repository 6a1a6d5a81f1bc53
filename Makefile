# make demo        people found in the photographs of samples/, drawn into demo_output/
# make test        the tests, and in one line why some are skipped
# make test-quick  those of them that answer in under a minute
# make results     the engines' times and accuracy in benchmarks/results/, measured again: half an hour, on an idle machine
# They make .venv (.venv-results with OpenCV 4, .venv-results5 with OpenCV 5) and put into it what they need.
# PYTHON names the Python they make it with.

PYTHON ?= python3
PYTEST ?= -m "not slow"
# How many processes share the tests: more are not faster on two cores.
WORKERS ?= 2
# Files of tests that start programs, play videos, measure, or compare with the slow decoder.
HEAVY := accuracy addresses animations benchmarks cli conversion docs engine_benchmarks engines estimate film_faults films \
	forms get_models live live_server main networks notebook opencv oracle packaging prototxts regions repository runs \
	samples scales scripts sound stages stream_function streams threads tools training tutorial
BIN := .venv/bin
QUIETLY := -m pip install --quiet --disable-pip-version-check
PIP := $(BIN)/python $(QUIETLY)
# Environments of `make results`, and what stands before commands that need the machine for themselves and before others.
RESULTS ?= .venv-results
RESULTS5 ?= .venv-results5
ALONE ?=
BESIDE ?=

# The wheel with windows needs these of the system; where one is missing, the headless wheel does the same work.
WINDOWS := import ctypes, sys; \
	sys.platform.startswith("linux") and [ctypes.CDLL(name) for name in ("libGL.so.1", "libgthread-2.0.so.0")]

.PHONY: demo test test-quick check results clean

demo: .venv/run.stamp
	$(BIN)/python -m tools.demo

test: .venv/dev.stamp
	$(BIN)/python -m pytest -n $(WORKERS) -p tools.why_skipped $(PYTEST)

test-quick: .venv/dev.stamp
	$(BIN)/python -m pytest -n $(WORKERS) -p tools.why_skipped -q -m "not slow" -k "not oracle" $(HEAVY:%=--ignore=tests/test_%.py)

check: .venv/dev.stamp
	$(BIN)/python -m ruff check .
	$(BIN)/python -m mypy

results: $(RESULTS)/results.stamp $(RESULTS5)/results.stamp
	rm -f benchmarks/results/*.csv
	for model in light_body light_hand light-coco coco body_25; do for size in 256x352 368x496; do \
		$(ALONE) $(RESULTS)/bin/python -m benchmarks.engines --models $$model --sizes $$size \
		--pythons $(RESULTS)/bin/python $(RESULTS5)/bin/python || exit 1; done; done
	$(ALONE) $(RESULTS)/bin/python -m benchmarks.trade --only times
	$(BESIDE) $(RESULTS)/bin/python -m benchmarks.trade --only accuracy

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

$(RESULTS)/results.stamp: OPENCV := opencv-python-headless>=4.14,<5
$(RESULTS5)/results.stamp: OPENCV := opencv-python-headless>=5,<6
$(RESULTS)/results.stamp $(RESULTS5)/results.stamp:
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python $(QUIETLY) '$(OPENCV)' numpy imutils openvino onnxruntime matplotlib pycocotools
	@touch $@
