# Pegboard's commands. `make` or `make help` lists them.
#
#   PYTHON=python3.12   the interpreter that .venv is made with (3.11 or newer)
#   VENV=.venv          where the virtual environment is
#   ARGS="…"            more arguments for `make up` and `make test`
#   ONLY=a,b            which benchmarks `make bench` runs
#   URL=…  AI_URL=…     a running platform and a language model for `make demo`, instead of its own
#   PEGBOARD=…          the command that `make demo` starts the platform with

VENV ?= .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell for p in python3 python3.11 python3.12 python3.13 python3.14 python; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)
PEGBOARD ?= $(BIN)/pegboard
DIST ?= dist
JOBS ?= 2
ARGS ?=

# What git knows of, and what it would take: ignored files are nobody's business.
FILES = git ls-files -z --cached --others --exclude-standard

.DEFAULT_GOAL := help
.PHONY: help runtime dev model up install counterparties test check lint types imports manifests drift reference secret-scan \
	locks tree bench demo docs lock audit wheel clean

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

runtime:
	@test -n "$(PYTHON)" || { echo 'pegboard: needs Python 3.11 or newer: make PYTHON=/path/to/python3.11' >&2; exit 2; }
	@"$(PYTHON)" tests/tools/environment.py "$(VENV)" runtime

dev:
	@test -n "$(PYTHON)" || { echo 'pegboard: needs Python 3.11 or newer: make PYTHON=/path/to/python3.11' >&2; exit 2; }
	@"$(PYTHON)" tests/tools/environment.py "$(VENV)" dev

up: runtime ## Start everything: databases, API, workers, scheduler. Ctrl-C stops it
	@exec "$(BIN)/pegboard" up $(ARGS)

install: dev ## Install what development needs, without running anything

counterparties: dev
	@"$(PYTHON)" tests/tools/counterparties.py

test: dev counterparties ## Run the tests
	@exec "$(BIN)/python" -m pytest -n $(JOBS) $(ARGS)

check: lint types imports manifests drift reference secret-scan locks tree ## Everything that must hold besides the tests

lint: dev
	"$(BIN)/ruff" check .
	"$(BIN)/ruff" format --check .

types: dev
	"$(BIN)/basedpyright"

imports: dev
	"$(BIN)/lint-imports"

manifests: dev
	"$(BIN)/pegboard" --config plugins.toml config check
	"$(BIN)/pegboard" --config plugins.toml plugins check-manifests

drift: dev
	"$(BIN)/python" -m pytest -q -n 0 tests/kernel/database/test_drift.py

reference: dev
	"$(BIN)/pegboard" docs build --check

# Tests are full of made-up passwords, so there only what looks like a real credential counts.
secret-scan: dev
	@$(FILES) -- ':!tests' | xargs -0 "$(BIN)/detect-secrets-hook" --no-verify --exclude-secrets '^(scram-sha-256|env:[A-Z_]+|([a-z_]+:)?[a-z_]+\.[a-z_]+)$$'
	@$(FILES) -- tests | xargs -0 "$(BIN)/detect-secrets-hook" --no-verify --disable-plugin KeywordDetector \
		--disable-plugin BasicAuthDetector

locks: dev
	"$(BIN)/python" tests/tools/check_locks.py

tree: dev
	@$(FILES) | xargs -0 "$(BIN)/python" tests/tools/check_tree.py

bench: dev ## Measure; ONLY=read_ratio,job_ratio picks
	@exec "$(BIN)/python" -m tests.benchmarks $(if $(ONLY),--only "$(ONLY)")

# The language model has an environment of its own: its packages ask for others that nothing here wants.
model:
	@test -n "$(AI_URL)" || "$(PYTHON)" tests/tools/environment.py "$(VENV)-demo" demo

demo: runtime model ## Play one whole marketplace transaction over HTTP and check every step
	@exec env URL="$(URL)" AI_URL="$(AI_URL)" PEGBOARD="$(PEGBOARD)" MODEL_PYTHON="$(VENV)-demo/bin/python" \
		"$(BIN)/python" -m tests.e2e.demo

docs: dev ## Write docs/reference anew
	"$(BIN)/pegboard" docs build

COMPILE = "$(BIN)/uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-emit-find-links --annotation-style line --custom-compile-command "make lock" $(if $(UPGRADE),--upgrade)

lock: dev ## Resolve the locks anew; UPGRADE=1 takes the newest releases that pyproject.toml allows
	$(COMPILE) pyproject.toml --group dev --output-file requirements-dev.lock
	$(COMPILE) pyproject.toml --constraints requirements-dev.lock --output-file requirements.lock
	$(COMPILE) --group build --constraints requirements-dev.lock --output-file requirements-build.lock
	$(COMPILE) --group demo --no-deps --output-file requirements-demo.lock

audit: dev ## Ask the vulnerability databases about the locks; needs the network
	"$(BIN)/pip-audit" --strict --require-hashes --disable-pip --requirement requirements.lock
	"$(BIN)/pip-audit" --strict --require-hashes --disable-pip --requirement requirements-dev.lock

wheel: dev ## Build the wheel into dist/
	@exec "$(BIN)/python" -m build --wheel --no-isolation --outdir "$(DIST)"

clean: ## Remove what building and testing left; keeps .venv and var
	rm -rf dist build .pytest_cache .ruff_cache .hypothesis .import_linter_cache
