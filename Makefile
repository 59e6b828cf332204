# The commands people use: `make run` and `make test`. See README.md and CONTRIBUTING.md.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# uv where it is installed, else the virtual environment's own pip.
UV     := $(shell command -v uv 2>/dev/null)
INSTALL = $(if $(UV),uv pip install -q --python $(BIN)/python,$(BIN)/python -m pip install -q --disable-pip-version-check)
ROOT   ?= .

.PHONY: run test test-slow check local bench faults lock clean

run: $(VENV)/.run
	@$(BIN)/ghostd run --root "$(ROOT)" $(if $(PORT),--port $(PORT)) --demo

test: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m pytest -m "not slow"
	$(BIN)/python -m pytest -m "slow and representative"

test-slow: $(VENV)/.test
	$(BIN)/python -m pytest -m slow --timeout 900

check: test

local: $(VENV)/.local

$(BIN)/python:
	$(if $(UV),uv venv -q --python $(PYTHON) $(VENV),$(PYTHON) -m venv $(VENV))

# Wheels only: needs no compiler.
$(VENV)/.run: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Setting up $(VENV) (once, wheels only) …"
	@$(INSTALL) --only-binary :all: -c constraints.txt -e ".[local-prebuilt,token-counts]"
	@touch $@

# llama-cpp-python from source. GGML_NATIVE=OFF: native builds by gcc <= 12 crash on CPUs with AMX (docs/models.md).
# pip does not key its wheel cache by CMAKE_ARGS, so this build has a cache of its own.
$(VENV)/.local: constraints.txt | $(VENV)/.run
	@echo "Building llama-cpp-python from source (about seven minutes, once) …"
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip -q
	@CMAKE_ARGS="-DGGML_NATIVE=OFF" $(BIN)/python -m pip install -q --disable-pip-version-check \
	  --cache-dir "$${XDG_CACHE_HOME:-$$HOME/.cache}/ghostd-build" -c constraints.txt llama-cpp-python
	@touch $@

$(VENV)/.test: pyproject.toml constraints.txt | $(VENV)/.run $(VENV)/.local
	@echo "Installing the test tools …"
	@$(INSTALL) -c constraints.txt -e ".[local-prebuilt,token-counts,test]"
	@touch $@

BENCHMARKS = daemon_start index_throughput lsp_overhead project_model worker_overhead model_discovery gateway

bench: $(VENV)/.test
	@for name in $(BENCHMARKS); do echo "== $$name"; $(BIN)/python benchmarks/$$name.py || exit 1; done

# The whole fault campaign; `make test` runs a short one.
faults: $(VENV)/.test
	cd tests && ../$(BIN)/python -m faults.campaign

# New exact versions; needs uv.
lock:
	@echo "# Exact versions of everything a checkout installs. Made by 'make lock'." > constraints.new
	@uv pip compile -q --no-emit-index-url --no-annotate --no-header --python-version 3.11 \
	  --extra local --extra local-prebuilt --extra token-counts --extra test pyproject.toml >> constraints.new
	@mv constraints.new constraints.txt

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache
