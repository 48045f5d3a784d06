# One Makefile for ever. Needs python3.11 or newer (with venv and pip) and make; everything else comes from the lock.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help .venv data demo test test-services test-all covered lint up docs bench lock compose-check

# These would leak the caller's Python into ours, or leave the libraries uncompiled (twice the start-up time).
unexport PYTHONDONTWRITEBYTECODE PYTHONHOME PYTHONPATH PYTHONSTARTUP
export PIP_USER := 0
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# The first that is new enough and really runs: a pyenv shim may exist and fail.
PYTHON ?= $(shell for name in python3.13 python3.12 python3.11 python3; do \
	"$$name" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 \
	&& { echo "$$name"; break; }; done)
PACKAGES := evertrain tasks flows serving
RUN := .venv/bin/python -m
COMPILE := uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate

help:
	@echo "make demo      the loop on a year of real flights; ends what it started"
	@echo "make test      the tests (ten minutes)        make test-all  the slow ones too"
	@echo "make test COVERAGE=1   counts the lines that they run"
	@echo "make test-services  the same YAML on real servers, each of them killed (ten minutes)"
	@echo "make lint      ruff, mypy --strict, import contracts, spelling"
	@echo "make .venv     only the virtual environment   make data      only the example data"
	@echo "make up        everything, on this machine    make docs      what there is to read"
	@echo "make bench     the benchmarks (an hour)       make bench-training   one of them"
	@echo "make .env      secrets for docker-compose.yml make compose-check  tries that file whole (8 minutes)"
	@echo "make full-G5   a claim's full-size proof       make lock      pin the dependencies again (needs uv)"

# ── the virtual environment: by the lock, by hash, byte-compiled ─────────────────────────────────────────
.venv: .venv/.installed

.venv/.locked: requirements.lock
	@test -n "$(PYTHON)" || { echo "evertrain needs python3.11 or newer, with venv and pip. Install one, or name it:" \
	"make PYTHON=/path/to/python3.11" >&2; exit 2; }
	@echo "Making .venv with $(PYTHON) from requirements.lock: about two minutes, once." >&2
	@.venv/bin/python -m pip --version >/dev/null 2>&1 || "$(PYTHON)" -m venv --clear .venv
	@$(RUN) pip install --quiet --no-input --no-compile --require-hashes --no-deps -r requirements.lock
	@# Two passes of -q: one library ships a file for newer Pythons only, which can't be compiled and isn't imported.
	@.venv/bin/python -W ignore -m compileall -q -q -j 0 .venv/lib || true
	@touch $@

.venv/.installed: .venv/.locked pyproject.toml
	@$(RUN) pip install --quiet --no-input --no-deps --no-build-isolation --editable .
	@$(RUN) compileall -q $(PACKAGES)
	@$(RUN) flows.template_database
	@touch $@

# ── the example data: real flights and weather, out of a package that the lock pins ──────────────────────
data: data/.ready

data/.ready: .venv/.locked evertrain/flights.py | .venv/.installed
	@$(RUN) evertrain.flights --to data
	@touch $@

# ── what a user runs ─────────────────────────────────────────────────────────────────────────────────────
demo: .venv data
	@.venv/bin/evertrain demo

up: .venv
	@.venv/bin/evertrain up

docs:
	@echo "README.md              run it, configure it, read its output"
	@echo "docs/why.md            the decisions, with their reasons"
	@echo "docs/how-to-extend.md  a source, a gate, a strategy; a pipeline"
	@echo "docs/release.md        the five ways in which a version takes over"
	@echo "docs/labels.md         outcomes that arrive later"
	@echo "docs/backtest.md       what a policy would have done"
	@echo "docs/operations.md     run it: notices, runs that died, services of your own"
	@echo "docs/glossary.md       the words"
	@echo "configs/schema.json    every key of a pipeline's YAML, for editors"

# ── what a developer runs ────────────────────────────────────────────────────────────────────────────────
# loadgroup: tests that share one Prefect server, or one killed run, stay on one worker. Three on two cores: they
# wait for servers half of the time. Lines are counted where COVERAGE is set, as in CI: that nearly doubles a test.
MEASURED = $(if $(COVERAGE),--cov --cov-report=)

test: .venv data
	@$(RUN) pytest -n 3 --dist loadgroup $(MEASURED) -m "not slow and not full and not services"
	@$(if $(COVERAGE),$(MAKE) --no-print-directory covered)

covered:
	@$(RUN) coverage report --include="tasks/*,flows/*,serving/*" --skip-covered
	@$(RUN) coverage report --include="evertrain/*" --skip-covered --fail-under=95

# Postgres, S3, MLflow, Prefect and a worker, started here and killed; on the other core a browser, and trainings
# that are killed at each of their points.
test-services: .venv
	@$(RUN) pytest -n 2 --dist loadgroup -m "services and not slow" tests/e2e tests/orchestration

test-all: .venv data
	@$(RUN) pytest -n 3 --dist loadgroup --cov --cov-report=
	@$(MAKE) --no-print-directory covered

lint: .venv
	@$(RUN) ruff check .
	@$(RUN) ruff format --check .
	@$(RUN) mypy $(PACKAGES)
	@.venv/bin/lint-imports --no-logo
	@.venv/bin/codespell

# What a script needs to be told for the figures that the README shows.
BENCH_training := 3 --peers
BENCH_validation := 1000000 3
BENCH_snapshots := 1000000 5000000 50000000

bench: .venv data $(patsubst benchmarks/%.py,bench-%,$(wildcard benchmarks/*.py))

bench-%: .venv data
	@echo "benchmarks/$*.py $(BENCH_$*)" >&2
	@.venv/bin/python benchmarks/$*.py $(BENCH_$*)

full-%: .venv
	@test -e "benchmarks/full/$*.py" || { echo "There is no full-size proof $*; there are:" \
	$$(ls benchmarks/full | sed -n 's/^\([A-Z][0-9]*\)\.py$$/\1/p') >&2; exit 2; }
	@PYTHONPATH=. .venv/bin/python "benchmarks/full/$*.py"

lock:
	@$(COMPILE) --all-extras --group build --group test --group lint -o requirements.lock
	@# The images hold what the lock above holds, and less.
	@$(COMPILE) --extra serving --extra s3 --group build -c requirements.lock -o deployments/serving.lock
	@$(COMPILE) --extra serving-native --extra s3 --group build -c requirements.lock -o deployments/serving-native.lock
	@$(COMPILE) --extra training --extra postgres --group build -c requirements.lock -o deployments/flows.lock

# ── Docker Compose ───────────────────────────────────────────────────────────────────────────────────────
# Made once and never again: PostgreSQL keeps the passwords that it was first started with.
.env:
	@umask 077; while IFS= read -r line; do case $$line in \
	*_PASSWORD=|*_SECRET=) echo "$$line$$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')";; *) echo "$$line";; esac; \
	done < .env.example > $@
	@echo "Wrote .env: random secrets, readable by you alone. Keep it." >&2

# Builds the images, brings docker-compose.yml up, trains and predicts through it, takes it down. Where there is no
# Docker or no way to the images: make compose-check COMPOSE_CHECK=--stand-ins (Debian, root; its head says what it needs)
compose-check: .venv
	@.venv/bin/python deployments/compose_check/check.py $(COMPOSE_CHECK)
