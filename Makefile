# make demo   sees the main job on sample data      make test   everything that must hold
# make bench  compares with a peer                  make lint   style, types and import rules alone
# make soak   minutes of random work with faults on
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
TESTS  ?= tests

.PHONY: demo test lint bench soak scenarios clean

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e .
	touch $@

$(VENV)/.tested: $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check -e .[test]
	touch $@

$(VENV)/.benched: $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check -e .[bench]
	touch $@

demo: $(VENV)/.installed
	$(BIN)/syncengine demo

test: lint
	$(BIN)/python -m pytest -n auto --dist loadgroup $(TESTS)

lint: $(VENV)/.tested
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

scenarios: $(VENV)/.installed
	$(BIN)/syncengine scenario run fixtures/scenarios

soak: $(VENV)/.tested
	SYNCENGINE_SOAK_SECONDS=$${SYNCENGINE_SOAK_SECONDS:-300} $(BIN)/python -m pytest -n 0 -s tests/e2e/test_soak.py

bench: $(VENV)/.benched
	$(BIN)/python -m tests.benchmarks.recurrence
	$(BIN)/python -m tests.benchmarks.caldav
	$(BIN)/python -m tests.benchmarks.scale
	$(BIN)/python -m tests.benchmarks.outbound

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
