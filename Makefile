# Everything is set up by the target that needs it: `make demo` and `make test` work as the first command on a fresh machine
# with Python 3.11 to 3.13, its venv module and make. Say PYTHON=… to choose the Python, VENV=… to choose the folder.

SHELL := /bin/sh
MAKEFLAGS += --no-print-directory
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

VENV ?= .venv
BIN := $(VENV)/bin
TESTS ?= tests
CONFIG ?=
BENCH ?=
FUZZ ?= caller model tapes webhooks
FUZZ_S ?= 600

# python3 if it is one that serves, else the newest that is found. pyenv's shims exist for Pythons that are not switched on.
SERVES := import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
ifndef PYTHON
PYTHON = $(shell for p in python3 python3.13 python3.12 python3.11; do \
    "$$p" -c '$(SERVES)' 2>/dev/null && { echo "$$p"; break; }; done)
endif

# Only wheels with known hashes are installed; the requirement files say so themselves. -qq: errors only.
PIP := $(BIN)/python -m pip -qq --no-input --disable-pip-version-check
LOCK := $(BIN)/uv pip compile --quiet --no-config --universal --fork-strategy requires-python --generate-hashes \
    --only-binary :all: --emit-build-options --custom-compile-command "make lock" $(if $(UPGRADE),--upgrade) pyproject.toml

# A venv whose Python is gone (an upgrade of the system took it) is made anew.
ifneq ($(wildcard $(VENV)/*.stamp),)
$(shell [ -x "$(BIN)/python" ] || rm -f "$(VENV)"/*.stamp)
endif

.PHONY: help demo test check serve lock coverage bench soak fuzz clean
.PHONY: check-lint check-format check-types check-imports

help: ## show this list
	@echo "voicebridge: a telephone line to a realtime speech model. Targets:"; echo
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1|\2/p' $(firstword $(MAKEFILE_LIST)) | \
	    while IFS='|' read -r name what; do printf '%-16s %s\n' "$$name" "$$what"; done

demo: $(VENV)/demo.stamp ## a rehearsed phone call, offline; writes demo.wav
	@$(BIN)/python -m bridge call fixtures/calls/demo.toml --wav demo.wav

test: $(VENV)/dev.stamp ## the tests; TESTS=tests/unit/wire runs some of them
	@$(BIN)/python -m pytest -q -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(TESTS) || \
	    { [ $$? -eq 1 ] && echo "Calls run on the clock: what failed beside others is tried once more, alone." && \
	    $(BIN)/python -m pytest -q --last-failed --last-failed-no-failures none $(TESTS); }

check: check-lint check-format check-types check-imports test ## all that CI asks: lint, format, types, imports, tests

check-lint: $(VENV)/dev.stamp
	@$(BIN)/ruff check --quiet . && echo "lint: clean"

check-format: $(VENV)/dev.stamp
	@$(BIN)/ruff format --quiet --check . || { echo "format: run $(BIN)/ruff format"; exit 1; }; echo "format: clean"

check-types: $(VENV)/dev.stamp
	@$(BIN)/mypy --no-error-summary && echo "types: clean"

check-imports: $(VENV)/dev.stamp
	@report=$$($(BIN)/lint-imports --no-logo 2>&1) || { printf '%s\n' "$$report"; exit 1; }; echo "imports: contracts kept"

serve: $(VENV)/demo.stamp ## the bridge; CONFIG=bridge.toml names its settings
	@$(BIN)/python -m bridge serve $(if $(CONFIG),--config $(CONFIG))

lock: $(VENV)/dev.stamp ## the requirement files from pyproject.toml; UPGRADE=1 takes newer releases
	@$(LOCK) --all-extras --group dev --output-file requirements/dev.txt
	@$(LOCK) --extra embedded --group editable --constraint requirements/dev.txt --output-file requirements/demo.txt
	@$(LOCK) --extra fast --extra otel --extra postgres --extra redis --constraint requirements/dev.txt \
	    --output-file requirements/serve.txt
	@$(LOCK) --constraint requirements/dev.txt --output-file requirements/runtime.txt

coverage: $(VENV)/dev.stamp ## which lines and branches no test reaches
	@$(BIN)/coverage run -m pytest -q $(TESTS)
	@$(BIN)/coverage report

bench: $(VENV)/dev.stamp ## what a call costs, by both doors; BENCH=--help tells what can be said
	@$(BIN)/python -m bench --out build/bench $(BENCH)

# The cheapest first. What a test without chance says, it says in `make test`: here run those that draw, and those that go on.
soak: $(VENV)/dev.stamp ## properties with thousands of new examples, calls by the thousand, and fuzzing; an hour and a half
	@began=$$(date +%s); \
	HYPOTHESIS_PROFILE=soak $(BIN)/python -m pytest -q -m hypothesis --timeout 900 $(TESTS) || exit 1; \
	echo "soak: properties took $$(($$(date +%s) - began)) s"
	@$(MAKE) fuzz FUZZ_S=150
	@began=$$(date +%s); \
	$(BIN)/python -m pytest -q -m soak $(TESTS) || exit 1; \
	echo "soak: calls took $$(($$(date +%s) - began)) s"

fuzz: $(VENV)/dev.stamp ## both parsers, tapes and webhooks for ten minutes each; FUZZ=caller takes one, FUZZ_S=60 seconds
	@mkdir -p build; for target in $(FUZZ); do \
	    log=build/fuzz-$$target.log; echo "fuzz: $$target for $(FUZZ_S) s"; \
	    $(BIN)/python -m tests.fuzz.run $$target $(FUZZ_S) >$$log 2>&1 || { tail -n 40 $$log; exit 1; }; \
	    echo "fuzz: $$target: $$(sed -n 's/.*DONE *//p' $$log)"; \
	done

clean: ## away with what was set up and made
	rm -rf .venv .venv-* .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build dist demo.wav
	find bridge twiml tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@[ -n "$(PYTHON)" ] || { \
	    echo "No Python 3.11 to 3.13 with its venv module was found: install one, or name it with PYTHON=…" >&2; exit 1; }
	@"$(PYTHON)" -c '$(SERVES)' || { echo "$(PYTHON) is not a Python 3.11 to 3.13 with its venv module." >&2; exit 1; }
	@echo "Setting up $(VENV) with $$("$(PYTHON)" --version) …"
	@"$(PYTHON)" -m venv --clear $(VENV)

# The package itself too, editable: the command `voicebridge` is there, and the installed metadata are tested like the rest.
INSTALL = $(PIP) install --require-hashes -r $< && $(PIP) install --no-build-isolation --no-deps --editable .

$(VENV)/demo.stamp: requirements/demo.txt pyproject.toml | $(BIN)/python
	@$(INSTALL)
	@touch $@

$(VENV)/dev.stamp: requirements/dev.txt pyproject.toml | $(BIN)/python
	@$(INSTALL)
	@touch $@
