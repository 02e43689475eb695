# Every target makes the virtual environment first when there is none. Needs Python 3.10 or newer, nothing else.

PYTHON ?= python3
VENV ?= .venv
# Up to the newest release that the suite has been run against; `make TORCH=torch` takes whatever is newest.
TORCH ?= torch>=2.6,<2.15
# Handed to the tools: make test ARGS="-k geometry -x", make bench ARGS=--help
ARGS ?=

SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: demo test lint bench help clean venv

BIN := $(VENV)/bin
READY := $(VENV)/.dr_kfs-installed
# pip, one line per download: without a terminal it shows no progress bar, and all its lines are too many.
PIP := $(BIN)/python -m pip --disable-pip-version-check install
BRIEF := awk '/^ *(Downloading|Installing collected)/ && !/\.metadata/ { print substr("      " $$0, 1, 110); fflush() }'

demo: $(READY) ## show what the library does
	$(BIN)/python examples/demo.py $(ARGS)

test: $(READY) ## run the tests, with the ten slowest at the end
	$(BIN)/python -m pytest --durations=10 $(ARGS)

lint: $(READY) ## check style, formatting and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright --pythonpath $(BIN)/python

bench: $(READY) ## time every stage against its peers
	$(BIN)/python tests/benchmarks/run.py $(ARGS)

venv: $(READY) ## make or complete the virtual environment

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-6s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

clean: ## delete builds and caches, keep the virtual environment
	rm -rf build dist .pytest_cache .ruff_cache .hypothesis
	find . -path ./.venv -prune -o -path './$(VENV)' -prune -o -name __pycache__ -type d -exec rm -rf {} +

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo 'Needs Python 3.10 or newer: make PYTHON=/path/to/python3'; exit 1; }
	@if [ -x $(BIN)/python ]; then echo '[1/3] using $(VENV)'; \
		else echo '[1/3] creating $(VENV)'; $(PYTHON) -m venv $(VENV); fi
	@echo "[2/3] installing $(TORCH) (the largest download, minutes)"
	@$(PIP) '$(TORCH)' | $(BRIEF)
	@echo '[3/3] installing dr_kfs with its development tools'
	@$(PIP) -e '.[dev]' '$(TORCH)' | $(BRIEF)
	@touch $@
