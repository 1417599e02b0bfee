# Encore. `make run` and `make test` set up everything they need in .venv.
PYTHON ?= python3.11
VENV := .venv
# One more than cores: tests wait for servers and disks for a quarter of their time.
JOBS ?= $(shell echo $$(($$(getconf _NPROCESSORS_ONLN) + 1)))
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Where Python may not keep what it compiled, every process compiles everything anew: five times the time to start.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run test lint types bench bench-uplift bench-bandit bench-ope bench-customers bench-ab simulate soak clean lock

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

$(VENV)/installed: requirements.lock pyproject.toml
	@echo "Installing into $(VENV) (about a minute, 1.6 GB) …"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "The lock is for Python 3.11; name one with make PYTHON=…"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -qq --no-compile --no-deps --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install -qq --no-deps --no-build-isolation -e .
	@touch $@

run: $(VENV)/installed ## Run a simulated shop: decision service, learner and MLflow
	@$(BIN)/encore demo

test: $(VENV)/installed ## Run the tests, in one process more than there are cores (JOBS=1: in one)
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

lint: $(VENV)/installed ## Check style
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: $(VENV)/installed ## Check types
	@$(BIN)/mypy

bench: $(VENV)/installed ## Measure what a decision and features cost (ARGS=--quick, --peers, "--only features")
	@$(BIN)/python -m experiments.bench.serving $(ARGS)

bench-uplift: $(VENV)/installed ## Compare uplift learners with peers, on worlds whose truth is known
	@$(BIN)/python -m experiments.bench.uplift

bench-bandit: $(VENV)/installed ## Compare bandit policies with peers, likewise
	@$(BIN)/python -m experiments.bench.bandit

bench-ope: $(VENV)/installed ## Judge the judge: estimators, intervals and the gate beside obp
	@$(BIN)/python -m experiments.bench.off_policy

bench-customers: $(VENV)/installed ## Compare predictions of customers with peers, on order lines (ORDERS=online_retail.parquet; of others ARGS="--mapping …")
	@$(BIN)/python -m experiments.bench.customers --orders $(ORDERS) $(ARGS)

bench-ab: $(VENV)/installed ## Judge A/B analysis: parity with peers, speed beside tea-tasting (ARGS=…)
	@$(BIN)/python -m experiments.bench.ab $(ARGS)

simulate: $(VENV)/installed ## Prove in simulated shops that the loop learns
	@$(BIN)/encore simulate

soak: $(VENV)/installed ## Inject faults at random for ten minutes and print what was lost
	@$(BIN)/python -m experiments.faults.soak

lock: ## Resolve the dependencies anew (needs uv)
	uv pip compile --extra offline --extra dev --python-version 3.11 --generate-hashes --no-header --no-annotate -o requirements.lock pyproject.toml

clean: ## Remove the virtual environment, caches and the simulated shop
	rm -rf $(VENV) .encore .mypy_cache .ruff_cache .pytest_cache build dist *.egg-info
