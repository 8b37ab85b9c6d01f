# `make demo` and `make test` are all that a newcomer needs. Paths are relative: the folder may have a space.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: install test lint types unit e2e demo measure-harness measure-noise simulate clean

install: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Paceline needs Python 3.11 or later: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	@echo "== installing into .venv (a few minutes where nothing is cached)"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt setuptools torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt \
	  --no-build-isolation --editable '.[train,dev]'
	@touch $@

test: lint types unit e2e

lint: install
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .

types: install
	$(BIN)/python -m mypy

unit: install
	$(BIN)/python -m pytest -q -m 'not gpu' --ignore=tests/e2e

# Through the command line, with real git, real processes, real training: one after the other.
e2e: install
	$(BIN)/python -m pytest -q -m 'not gpu' tests/e2e

# An issue is filed on the embedded tracker, the agent measures, the issue has its verdict.
demo: install
	KEEP=$(KEEP) KILL=$(KILL) PODS=$(PODS) $(BIN)/python scripts/demo.py

# What the harness and the hook cost, for docs/measurement.md.
measure-harness: install
	$(BIN)/python benchmarks/harness_cost.py
	$(BIN)/python benchmarks/gate_cost.py

# How often our own verdicts are right on this machine: about two hours; saves as it goes and goes on from there.
measure-noise: install
	$(BIN)/python benchmarks/noise.py collect benchmarks/results/noise
	$(BIN)/python benchmarks/noise.py table benchmarks/results/noise

# Planted effects through the real verdict, for docs/measurement.md: two minutes on two idle cores.
simulate: install
	$(BIN)/python -m bench.simulate

clean:
	rm -rf .venv .paceline build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
