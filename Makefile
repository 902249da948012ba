# Two commands do everything on a fresh machine with Python 3.10+ and a C++ compiler:
#   make demo   install into .venv and run the embedded default experiment
#   make test   install into .venv (if need be) and run the quality gates and the test suite, in WORKERS=2 processes
PYTHON ?= python3
VENV ?= .venv
WORKERS ?= 2
BIN := $(VENV)/bin

.PHONY: demo test slow clean

demo: $(VENV)/.installed
	$(BIN)/wsssbench run configs/aeft_synthetic.py

test: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q --durations=10 -n $(WORKERS) --dist loadfile --no-loadscope-reorder

slow: $(VENV)/.installed-test
	$(BIN)/python -m pytest -q -m slow

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

# with a third party's plugin, which the contract test then takes like any other
$(VENV)/.installed-test: pyproject.toml examples/wsssbench-lse/pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable ".[test]" --editable examples/wsssbench-lse
	touch $@ $(VENV)/.installed

clean:
	rm -rf $(VENV) work
