# Two commands do everything on a machine with Python 3.11, Java 17, Node 20 and make:
#   make run     set up, run a day on the laptop cloud, show the result
#   make test    lint, types and tests
PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
UV     := $(BIN)/uv
STAGES := local dev prod
MAKEFLAGS += --no-print-directory
unexport PYTHONDONTWRITEBYTECODE # without bytecode on disk every process compiles all that it imports

.PHONY: help setup tools run test test-all simulate lint bench synth package up down clean
help: ## the commands
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 18

setup: tools $(VENV)/.ready build/jars/.ready ## install what the lock file names, and Spark's jars
tools:
	@PYTHON=$(PYTHON) sh ops/tools.sh

$(UV): uv.version
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv==$$(cat uv.version)"
	@touch $@

$(VENV)/.ready: $(UV) uv.lock pyproject.toml
	@$(UV) sync --frozen
	@touch $@

build/jars/.ready: $(VENV)/.ready $(wildcard local/jars/*) local/emr/jars.py local/emr/class_archive.py local/emr/rehearsal.sql
	@$(BIN)/python -m local.emr.jars build/jars
	@$(BIN)/python -m local.emr.class_archive build/jars
	@touch $@

run: setup ## a first load and one more day on the laptop cloud
	@$(BIN)/assay demo

up: setup ## start the laptop cloud
	@$(BIN)/assay up

down: $(VENV)/.ready ## stop the laptop cloud
	@$(BIN)/assay down

package: $(VENV)/.ready ## build the Lambda and Spark archives of every stage
	@$(BIN)/python -m ops.package x86_64 arm64

synth: setup package ## write build/synth/<stage>/*.template.json and lint them
	@$(BIN)/python cdk/app.py $(STAGES)
	@$(BIN)/cfn-lint --template build/synth/*/*.template.json

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python -m ops.workflow_lint
	@$(BIN)/assay contract check

test: lint ## everything CI asks for
	@$(BIN)/pytest -n 2 --dist loadfile --durations 15 -m "not slow"

test-all: lint ## with the slow proofs
	@$(BIN)/pytest

SEEDS ?= 500
START ?= 0
simulate: setup ## play the failure model: SEEDS=n schedules from seed START=m
	@$(BIN)/python -m tests.simulator --seeds $(SEEDS) --start $(START)

bench: setup ## timings, as a table and as build/bench.json
	@$(BIN)/python -m ops.bench

clean: ## remove what the build made, the environment too
	@if [ -x $(BIN)/assay ]; then $(BIN)/assay down --quiet || true; fi
	rm -rf build .assay $(VENV)
