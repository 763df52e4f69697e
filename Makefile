# Everything runs in a virtual environment inside the checkout, made on first use. Only python3 (3.11 or newer), make and git are needed;
# for `make compile` a C compiler and Python's headers as well.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
PEERS  := .venv-bench
ARGS   ?=
WORKERS ?= auto

.DEFAULT_GOAL := help
.PHONY: help demo test properties check simulate mutations compile format lock bench clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

$(READY): pyproject.toml requirements/dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Amends needs Python 3.11 or newer; $(PYTHON) is older. Name another: make PYTHON=python3.12 ..." >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(READY) ## Run a few hundred order sagas on PostgreSQL and NATS of their own (ARGS="..." reach the command)
	$(BIN)/amends demo $(ARGS)

test: $(READY) ## Run all tests (ARGS="-k crash" reach pytest)
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

properties: $(READY) ## Search all properties at random for new counterexamples (make test tries the same ones every time)
	$(BIN)/python -m pytest -n $(WORKERS) --hypothesis-profile=default tests/domain tests/participant tests/projections tests/testing $(ARGS)

check: $(READY) ## Lint, format, strict types, direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/basedpyright
	$(BIN)/lint-imports

simulate: $(READY) ## Simulate whole systems with faults from a seed, until an invariant breaks or Ctrl-C (ARGS="--sagas 100000")
	$(BIN)/amends simulate $(ARGS)

mutations: $(READY) ## Play deliberate bugs until the simulator or a property test finds each (ARGS="tombstone")
	$(BIN)/python tests/mutations/run.py $(ARGS)

# What Amends is compared with, and the plots, keep to an environment of their own.
$(PEERS)/.ready: requirements/bench.txt
	test -x $(PEERS)/bin/python || $(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bench.txt
	@touch $@

bench: $(READY) $(PEERS)/.ready ## Measure sagas on this machine, beside its limits and DBOS; a few minutes (ARGS=--full: half an hour)
	$(BIN)/python -m benchmarks --peers $(PEERS)/bin/python $(ARGS)

compile: $(READY) ## Compile the core in place, for a quicker worker; again after each change of it
	$(BIN)/python -m compiling

format: $(READY) ## Format the code and mend what the linter can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Hashes for every platform and Python from 3.11 on, and the address of no index.
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"

lock: $(READY) ## Compile the pinned requirements anew (ARGS=--upgrade takes newer versions)
	$(COMPILE) $(ARGS) --extra all pyproject.toml -o requirements/runtime.txt
	$(COMPILE) $(ARGS) --extra all pyproject.toml requirements/dev.in -c requirements/runtime.txt -o requirements/dev.txt
	$(COMPILE) $(ARGS) requirements/bench.in -o requirements/bench.txt

clean: ## Remove the virtual environment, caches, builds, and the compiled core
	rm -f *__mypyc.*.so amends/compiled.txt
	find amends -name '*.so' -delete
	rm -rf $(VENV) $(PEERS) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
