# make demo        a signed, verified demo election in build/demo/public
# make test        all tests, with the outside programs that check us, where they can be installed
# make check       formatting, lint, types
# make national    Indonesia's presidential election of 2019, whole, in build/national (needs the data, see bench/README.md)
# make bench       the figures of bench/README.md again
# make lighthouse  Google's Lighthouse over the demo's pages

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Tests write and remove files without end: in memory, where a machine has two gigabytes of it for each of their processes, not on its disk.
SCRATCH := $(shell findmnt -nbo AVAIL,OPTIONS -T /dev/shm 2> /dev/null | tail -1 | awk -v cores="$$(nproc)" '$$1 > 2e9 * cores && !/noexec/ {print "/dev/shm"}')

.PHONY: demo test check national bench lighthouse programs

demo: $(READY)
	$(BIN)/terbit demo build/demo

test: $(READY) programs
	TMPDIR=$(SCRATCH) $(BIN)/python -m pytest -n auto --dist worksteal

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

national: $(READY)
	$(BIN)/python bench/national.py

bench: $(READY)
	$(BIN)/python bench/run.py

lighthouse: $(READY) programs
	npm install --silent --no-audit --no-fund --ignore-scripts --prefix build/lighthouse lighthouse@12
	rm -rf build/lighthouse/demo
	$(BIN)/terbit demo build/lighthouse/demo
	$(BIN)/python bench/lighthouse.py --public build/lighthouse/demo/public

programs:
	@sh tests/install_programs.sh

$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable . --group dev
	touch $(READY)
