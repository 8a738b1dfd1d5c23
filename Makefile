SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help demo test slow lint format bench docs clean

help:  ## List what can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

$(VENV)/installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch numpy
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: $(VENV)/installed  ## The guided run on the built-in corpus (two minutes)
	$(BIN)/seqloom demo

test: $(VENV)/installed  ## The tests, without the slow ones (about two minutes on two cores)
	$(BIN)/python -m pytest

slow: $(VENV)/installed  ## Every test, the slow ones too
	$(BIN)/python -m pytest -m "slow or not slow"

lint: $(VENV)/installed  ## Style, types and layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/installed  ## Put the code into the house's form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/installed  ## The benchmarks against the rivals (long)
	bash benchmarks/rivals.sh
	$(BIN)/python benchmarks/run.py

docs: $(VENV)/installed  ## The reference pages generated from the code
	$(BIN)/python docs/generate.py

clean:  ## Remove the environment and every cache
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
