# make demo and make test are the whole set-up: each needs a Python 3.11 or later, and nothing else.
PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test test-slow check format reference clean

demo: .venv/.plain  ## index real documents with a real language model, search them, compare variants
	@$(BIN)/python demo.py

test: .venv/.dev check  ## linters, types, import rules, tests with coverage
	$(BIN)/searchkit models pull smollm2-135m
	$(BIN)/python -m pytest --cov --cov-report=term:skip-covered

test-slow: .venv/.dev  ## tests that need the real base model or minutes of time
	$(BIN)/searchkit models pull smollm2-135m
	$(BIN)/python -m pytest -m slow

check: .venv/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

reference: .venv/.dev  ## write the command reference from --help
	$(BIN)/python tests/commands/reference.py

clean:  ## delete the environment, the indexes and the evaluations; pulled models stay
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache evaluations
	find indexes -mindepth 1 ! -name README.md -delete

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "searchkit needs Python 3.11 or later")'
	@$(PYTHON) -m venv .venv || (rm -rf .venv; echo "no virtual environment: install python3-venv"; exit 1)

.venv/.plain: .venv/bin/python pyproject.toml constraints.txt
	@echo "installing searchkit and what it needs into .venv; this takes a minute or two"
	@$(INSTALL) --editable .
	@touch $@

.venv/.dev: .venv/bin/python pyproject.toml constraints.txt
	@echo "installing searchkit and its development tools into .venv; this takes a minute or two"
	@$(INSTALL) --editable '.[dev]'
	@touch $@ .venv/.plain
