# Every target makes its own .venv from pinned, hashed requirements. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8080
SCENARIO ?=
REGISTRY ?= dev.local
TAG ?= 0.1.0

.PHONY: help serve test test-all check format bench fuzz soak chaos loadtest locust simulate images deploy undeploy status lock packages clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 12

serve: $(VENV)/.serve  ## three functions on http://127.0.0.1:8080 (PORT=N for another), from the manifests for a cluster
	@exec $(BIN)/python -m knative serve --port $(PORT)

# Four files at a time: many tests wait for processes. Each file stays whole, since its tests share servers.
# pytest keeps its compiled test modules, also where the environment forbids bytecode: each worker loads all of them.
test test-all: export PYTHONDONTWRITEBYTECODE =
test: $(VENV)/.dev  ## the tests, without the slow ones; ARGS='tests/contract -k exif' for some of them
	$(BIN)/python -m pytest -q -m "not slow" -n 4 --dist loadfile $(ARGS)

test-all: $(VENV)/.dev  ## every test, the slow ones too
	$(BIN)/python -m pytest $(ARGS)

check: $(VENV)/.dev  ## lint, types, format, import direction, known vulnerabilities, bill of materials
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/test_architecture.py
	$(BIN)/python -m knative check knative
	@$(BIN)/python -m tools.supply_chain

format: $(VENV)/.dev  ## put the code into its form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.dev  ## ratios against named peers, in turns; AREA=exif for one area, ARGS=--write-docs to keep them
	$(BIN)/python -m tools.bench $(AREA) $(ARGS)

fuzz: $(VENV)/.dev  ## coverage-guided and property-based fuzzing of every parser
	$(BIN)/python -m tools.fuzz $(ARGS)

chaos: $(VENV)/.dev  ## kills, hangs, full disks, clock jumps
	$(BIN)/python -m tools.chaos $(ARGS)

soak: $(VENV)/.dev  ## thirty minutes of mixed load with kills; ARGS='--minutes 2' for less
	$(BIN)/python -m tools.chaos soak --minutes 30 $(ARGS)

loadtest: $(VENV)/.dev  ## the quick set against the local engine; SCENARIO=name for another
	$(BIN)/python -m loadtest $(SCENARIO) $(ARGS)

locust: $(VENV)/.dev  ## Locust's web UI on http://127.0.0.1:8089, against `make serve`; ARGS='--tags exif' for one function
	$(BIN)/locust --host http://127.0.0.1:$(PORT) $(or $(ARGS),--tags mixed)

images: $(VENV)/.serve  ## the three images, with docker, podman or buildah; ARGS=loadtest for the load test's
	$(BIN)/python -m knative images --registry $(REGISTRY) --tag $(TAG) $(ARGS)

deploy undeploy status: $(VENV)/.serve  ## to and from the cluster of your KUBECONFIG
	$(BIN)/python -m knative $@ $(ARGS)

lock: $(VENV)/.dev  ## compile the requirements anew from pyproject.toml
	$(BIN)/python -m tools.lock

packages:  ## the system packages that tests use, on Debian or Ubuntu
	@.ci/packages

clean:  ## remove what the targets made
	rm -rf $(VENV) build dist out loadtest/out tests/out .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	@echo "Making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or later is needed: make PYTHON=python3.12 …" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "Install the package python3-venv first: sudo apt install python3-venv" >&2; exit 1; }

# One recipe for both sets: `dev` holds all that `serve` holds, in the same versions.
$(VENV)/.%: requirements/%.txt pyproject.toml | $(VENV)/bin/python
	@echo "Installing requirements/$*.txt into $(VENV), each file checked against its hash"
	@$(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --no-compile --require-hashes -r requirements/$*.txt
	@$(BIN)/python -m compileall -qq -j 0 -x '/tests?/' $(VENV)/lib || true  # on all cores; pip would use one
	@$(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --no-deps --no-build-isolation --no-index --editable .
	@touch $@
