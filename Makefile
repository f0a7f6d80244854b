# make demo | test | test-all | lint | docs: everything runs in .venv, made from constraints.txt on first use.
# Another interpreter: make PYTHON=python3.12 demo
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do command -v $$p >/dev/null 2>&1 && $$p -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
SOURCES := LabelConditionedSegmentation Training Testing Utilities Documentation

.PHONY: demo test test-all lint docs benchmarks clean

demo: $(VENV)/.demo-ready
	$(BIN)/python -m LabelConditionedSegmentationLib.cli.demo demo

# Two processes of one thread each: tests are many and small. A process that has no tests left takes some of the
# other's, so that no long file is waited for.
PYTEST = OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

test: $(VENV)/.test-ready
	$(PYTEST) -m "not slow"

# everything at once: quick and slow tests share what is made for both
test-all: $(VENV)/.test-ready
	$(PYTEST)

lint: $(VENV)/.test-ready
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy

docs: $(VENV)/.test-ready
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

benchmarks: $(VENV)/.test-ready
	$(BIN)/python -m Testing.benchmarks.run

clean:
	rm -rf $(VENV) demo build site *.egg-info

# torch comes first and alone, so that nothing else chooses it; the CPU build is taken where the machine has it at hand.
$(VENV)/.torch-ready: constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 with its venv module is needed (Debian, Ubuntu: apt-get install python3-venv)."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0 -c constraints.txt
	@touch $@

$(VENV)/.demo-ready: $(VENV)/.torch-ready pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/.test-ready: $(VENV)/.torch-ready pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[training,test,lint,docs]'
	@touch $@
