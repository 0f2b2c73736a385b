SHELL := /bin/bash
.DEFAULT_GOAL := help
.SUFFIXES:
.PHONY: help install demo up test test-fast lint audit bench chaos cluster test-cluster soak rolling matrix clean

BIN := .venv/bin
UV_HOME := .local/uv
PINNED_UV := $(UV_HOME)/.pinned
export PATH := $(CURDIR)/$(UV_HOME)/bin:$(PATH)
# Where it is set, each of the hundreds of processes of the tests would compile Airflow and the SDKs again.
unexport PYTHONDONTWRITEBYTECODE
INSTALLED := .venv/.installed

help: ## Show this list
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/make \1	\2/p' $(MAKEFILE_LIST) | expand -t 16

install: $(INSTALLED) ## Install what uv.lock names into .venv

# uv is taken from PATH if it runs there and suits this project, else a pinned one is installed beside it from PyPI.
# Compiled now, as pip does: else processes that start together each compile Airflow, at the first demo or test.
$(INSTALLED): uv.lock pyproject.toml
	@set -euo pipefail; unset VIRTUAL_ENV UV_PROJECT_ENVIRONMENT; \
	echo "Installing from uv.lock into .venv (minutes the first time) …"; \
	uv sync --frozen --dry-run >/dev/null 2>&1 || $(MAKE) --no-print-directory $(PINNED_UV); \
	uv sync --frozen --quiet --compile-bytecode
	@touch $@

$(PINNED_UV): .ci/uv.txt
	@python3 -m venv $(UV_HOME) || { echo "Neither uv nor a working 'python3 -m venv' is here: install one of them."; exit 1; }
	@$(UV_HOME)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: --requirement .ci/uv.txt
	@touch $@

demo: $(INSTALLED) ## Run the nightly DAG over two nights of sample tickets, print rows and bill, end
	@exec $(BIN)/python -m nightbatch.local demo

up: $(INSTALLED) ## The same, and stay up: UI on port 8080
	@exec $(BIN)/python -m nightbatch.local up

cluster: $(INSTALLED) ## Run a cluster and stay up: PostgreSQL, Valkey, two triggerers, two Celery workers; UI on port 8080
	@exec $(BIN)/python -m nightbatch.local cluster

test: $(INSTALLED) ## Run all tests, in four processes (AREA=land: those of that folder of the package)
	@exec $(BIN)/python -m pytest -n 4 --dist loadscope --no-loadscope-reorder $(if $(AREA),--area $(AREA))

test-fast: $(INSTALLED) ## Run the unit tests, in less than a minute: no server, no Airflow
	@exec $(BIN)/python -m pytest -q -n 2 tests/unit $(if $(AREA),--area $(AREA))

test-cluster: $(INSTALLED) ## Run the tests on a cluster: a backfill whose parts are killed
	@NIGHTBATCH_CLUSTER=1 exec $(BIN)/python -m pytest -v tests/cluster

soak: $(INSTALLED) ## An hour of small nights with faults on a cluster (MINUTES=…), and what grows
	@exec $(BIN)/python tests/cluster/soak.py

rolling: $(INSTALLED) ## Upgrade a cluster part by part while nights run, from an older version (FROM=revision)
	@FROM=$(FROM) exec $(BIN)/python tests/cluster/rolling.py

matrix: $(INSTALLED) ## Check the built wheel in environments of its own, from the lowest dependencies to the newest
	@exec $(BIN)/python tests/install/matrix.py

lint: $(INSTALLED) ## Check style and types
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy

# uv ends with 1 where an advisory applies, and with 2 where it could not ask.
audit: $(PINNED_UV) ## Check uv.lock against published advisories (needs api.osv.dev)
	@code=0; $(UV_HOME)/bin/uv audit --frozen --preview-features audit-command || code=$$?; \
	if [ $$code -gt 1 ]; then echo "Nothing was audited: make audit asks https://api.osv.dev, so run it where that is reachable, such as in a hosted CI."; fi; \
	exit $$code

bench: $(INSTALLED) ## Measure speed and memory
	@$(BIN)/python tests/bench/run.py
	@$(BIN)/python tests/bench/waiting.py
	@$(BIN)/python tests/bench/live.py
	@$(BIN)/python tests/bench/dag.py
	@$(BIN)/python tests/bench/nights.py
	@$(BIN)/python tests/bench/large.py

chaos: $(INSTALLED) ## Kill processes at the worst moments and check what was bought
	@export NIGHTBATCH_CHAOS_SEED=$${SEED:-$$RANDOM} NIGHTBATCH_TABLE=docs/exactly-once.md NIGHTBATCH_BACKFILL_DAYS=10; \
	echo "seed $$NIGHTBATCH_CHAOS_SEED (SEED=… repeats it)"; exec $(BIN)/python -m pytest tests/flow/once tests/real/once tests/chaos tests/airflow/once

clean: ## Remove what runs and tools have left, but not .venv and uv
	@rm -rf .airflow .mypy_cache .pytest_cache .ruff_cache .hypothesis dist
	@find .local -mindepth 1 -maxdepth 1 ! -name uv -exec rm -rf {} + 2>/dev/null || true
