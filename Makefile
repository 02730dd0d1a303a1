# Every target makes or updates .venv itself; all it needs is make and CPython 3.11 to 3.13.

SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(firstword $(foreach version,3.12 3.13 3.11,$(shell command -v python$(version) >/dev/null 2>&1 && python$(version) -c 'import venv, ensurepip' >/dev/null 2>&1 && echo python$(version))) python3)
INSTALLED := $(VENV)/.installed
SERVICES := $(VENV)/.services
LANES := --numprocesses 3 --dist loadgroup --no-loadscope-reorder

.PHONY: demo check check-fast check-static check-external bench chaos format install clean
.DELETE_ON_ERROR:

demo: install ## Table 3 on synthetic videos through Ray and MLflow: set-up, videos, study, report
	$(BIN)/freelunch run table3 --scale demo

check: check-static ## format, lint, types, import contracts, tests in three lanes, of which two share clusters of Ray
	$(BIN)/pytest $(LANES) -m "not services" --durations=25

check-fast: check-static ## the same without tests of Ray, of killed processes, of servers and of whole studies
	$(BIN)/pytest $(LANES) -m "not (ray or kills or mlflow_server or slow or external or services)"

check-static: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check-external: $(SERVICES) ## losses against lightly's, augmentation against PIL's; PostgreSQL and Slurm, where they are installed
	$(BIN)/pytest -m "external or services"

bench: install ## how fast is what matters: all benchmarks, and one table of ratios beside what is aimed at
	$(BIN)/python -m benchmarks.ratios $(BENCH)

chaos: install ## 50 faults while a study, a search and ingest runs go on: an hour or so, as root; the summary is in benchmarks/results
	$(BIN)/python -m benchmarks.chaos $(CHAOS)

format: install
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
		|| { echo "freelunch needs CPython 3.11, 3.12 or 3.13: name one with make PYTHON=python3.12"; exit 3; }
	@echo "setting up $(VENV) (8 GB with torch for CUDA, some minutes) …"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[dev]' \
		|| { echo "the packages were not installed: they take 8 GB in $(VENV), and $$(df -Ph $(VENV) | awk 'NR == 2 {print $$4}') are free there (make VENV=FOLDER takes another folder)"; exit 3; }
	@touch $@

$(SERVICES): $(INSTALLED)
	$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[dev,services]'
	@touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info
