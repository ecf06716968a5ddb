# TabVeil. `make run` and `make test` each work as the first command on a machine with git, make and Python 3.11.

SHELL   := /bin/bash
PYTHON  ?= $(or $(shell command -v python3.11 2>/dev/null),python3)
VENV    ?= .venv
BIN     := $(abspath $(VENV))/bin
# set-up is done when this exact lock file and pyproject.toml were installed
STAMP   := $(VENV)/.installed-$(shell cat requirements.lock pyproject.toml | cksum | tr ' ' '-')
UV_PIN  := $(shell grep -m1 '^uv==' requirements.lock 2>/dev/null)
UV       = VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/uv

# torch comes as its CPU build: from the folder of pip's find-links if one is configured, else (Linux) from PyTorch's
# own CPU index. For CUDA: make run UV_TORCH_BACKEND=auto
FIND_LINKS := $(or $(PIP_FIND_LINKS),$(shell $(PYTHON) -m pip config get global.find-links 2>/dev/null))
ifneq ($(FIND_LINKS),)
export UV_FIND_LINKS := $(FIND_LINKS)
else ifeq ($(shell uname -s),Linux)
export UV_TORCH_BACKEND ?= cpu
endif

export PATH := $(BIN):$(PATH)
DATASET     ?=
ENVIRONMENT ?=
SYNTHESIZER ?=
CHOICES := $(if $(DATASET),dataset=$(DATASET)) $(if $(ENVIRONMENT),environment=$(ENVIRONMENT)) \
           $(if $(SYNTHESIZER),synthesizer=$(SYNTHESIZER))
SWEEP ?= synthesizer=tvae,sdv_gaussian_copula synthesizer.seed=0,1
PORT  ?= 5000
BENCH ?=

.DEFAULT_GOAL := help
# AWS: PREFIX of every name and REGION (as in .tabveil/aws.env), EMAIL of the budget alarm, BUDGET in USD, TAG of the
# image, LOGS=existing where the account has SageMaker's log group already, YES=1 to delete without asking
PREFIX ?=
REGION ?=
STACK   = $(if $(PREFIX),--prefix '$(PREFIX)') $(if $(REGION),--region '$(REGION)')
EMAIL  ?=
BUDGET ?= 10
TAG    ?=
LOGS   ?=
YES    ?=

.PHONY: help setup data run repro sweep ui test check browser bench image lock clean aws-up aws-run aws-status aws-down

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  options: DATASET=<name> ENVIRONMENT=<name> SYNTHESIZER=<name> SWEEP='<overrides>' PORT=<n>"

setup: $(STAMP)  ## the virtual environment, from requirements.lock (other targets call it)

$(STAMP):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11) and "error: Python 3.11 is needed, however this is " + sys.version.split()[0] + ": make run PYTHON=/path/to/python3.11")'
	@echo 'setting up $(VENV) from requirements.lock (once)'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet $(UV_PIN)
	@$(UV) pip sync --quiet requirements.lock
	@$(UV) pip install --quiet --no-deps --editable .
	@rm -f $(VENV)/.installed-* && touch $@

data: $(STAMP)  ## compose data/loans.csv (real loans, fake people; same bytes on every machine)
	@python -m tabveil.sample_data

run: data  ## the whole pipeline, then a summary: make run [DATASET=<name>] [SYNTHESIZER=<name>]
	@$(if $(strip $(CHOICES)),python -m tabveil.use $(strip $(CHOICES)))
	@dvc repro || { $(if $(strip $(CHOICES)),echo 'conf/config.yaml keeps $(strip $(CHOICES)); correct what failed and make run' >&2;) exit 1; }
	@python -m tabveil.summary

repro: data  ## dvc repro: only what changed
	@dvc repro

sweep: $(STAMP)  ## compare settings: make sweep SWEEP='synthesizer=tvae,sdv_tvae synthesizer.seed=0,1'
	@python -m tabveil.sweep --multirun $(SWEEP)

ui: $(STAMP)  ## the MLflow UI on loopback (PORT=5000)
	@echo 'MLflow UI: http://127.0.0.1:$(PORT)  (Ctrl-C ends it)'
	-@python -m tabveil.ui --port $(PORT)
	@MLFLOW_DISABLE_TELEMETRY=true MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false mlflow ui --backend-store-uri sqlite:///$(CURDIR)/mlruns/mlflow.db \
	  --default-artifact-root $(CURDIR)/mlruns/artifacts --host 127.0.0.1 --port $(PORT) --workers 1

check: $(STAMP)  ## lint, format, types, import contracts
	ruff check .
	ruff format --check .
	mypy
	lint-imports

test: $(STAMP) browser  ## every test
	pytest -n 2 --dist loadfile $(PYTEST)

browser:
	@command -v chromium chromium-browser google-chrome >/dev/null 2>&1 || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
	    apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null; \
	  else echo "no chromium: the browser tests will be skipped (apt-get install chromium)"; fi; }

bench: data  ## our engine beside others, quality and cost: make bench [BENCH='--tables loans --seeds 0'] (benchmarks/README.md)
	@python -m benchmarks.engine $(BENCH)

image:  ## build the container image with Docker
	docker build -t tabveil:dev .

aws-up: $(STAMP)  ## make the account's resources: make aws-up EMAIL=<address> (docs/aws.md)
	@python -m tabveil.aws.stack up $(STACK) --email '$(EMAIL)' --budget-usd '$(BUDGET)' \
	  $(if $(TAG),--image-tag '$(TAG)') $(if $(LOGS),--training-log-group '$(LOGS)')

aws-run: data  ## the pipeline on AWS: estimate, then run with environment=aws
	@test -r .tabveil/aws.env || { echo 'error: .tabveil/aws.env is missing: make aws-up EMAIL=<address>' >&2; exit 2; }
	@set -a && source .tabveil/aws.env && set +a && \
	  python -m tabveil.cost $(filter-out environment=%,$(CHOICES)) environment=aws && \
	  $(MAKE) --no-print-directory run ENVIRONMENT=aws

aws-status: $(STAMP)  ## whether the account's resources are there
	@python -m tabveil.aws.stack status $(STACK)

aws-down: $(STAMP)  ## back to nothing, objects included (asks; YES=1 does not)
	@python -m tabveil.aws.stack down $(STACK) $(if $(filter 1,$(YES)),--yes)

EXTRAS := aws spark sample dev  # all but presidio, which is a peer of a benchmark only

lock:  ## resolve pyproject.toml anew into requirements.lock
	test -x $(BIN)/uv || { $(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip install --quiet uv; }
	env -u UV_TORCH_BACKEND $(UV) pip compile --universal --python-version 3.11 $(EXTRAS:%=--extra %) --upgrade --no-header \
	  --no-annotate --quiet --output-file requirements.tmp pyproject.toml
	@# CPU torch on every platform: one pin without marker and build tag, and without its CUDA companions
	awk '/^(nvidia-|cuda-|triton)/ {next} /^torch==/ {sub(/[ +].*/, "")} !seen[$$0]++' requirements.tmp > requirements.lock
	rm requirements.tmp

clean:  ## remove what runs made (keeps data/, mlruns/ and the environment)
	rm -rf artifacts multirun .tabveil/s3 .tabveil/aws .tabveil/costs .tabveil/timings .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
