# The front door. `make` prints the targets; each does its own set-up in a virtual environment of its own.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# The first of some interpreters that really runs, has venv and pip to give, and is of a version we support.
# (A name on the PATH proves nothing: version managers put names there that run into an error.)
first_python = $(shell for name in $(1); do \
	"$$name" -c 'import ensurepip, sys, venv; sys.exit(not $(2) <= sys.version_info[:2] <= $(3))' >/dev/null 2>&1 \
	&& "$$name" -c 'import sys; print(sys.executable)' && break; done)
PYTHON ?= $(call first_python,python3 python3.12 python3.11 python3.13 python3.10,(3,10),(3,13))
# PyAirbyte refuses Python 3.13.
PYAIRBYTE_PYTHON ?= $(call first_python,python3 python3.12 python3.11 python3.10,(3,10),(3,12))
# Meltano's wrapper of Airbyte sources refuses anything newer than 3.10, and is not on PyPI.
MELTANO_PYTHON ?= $(call first_python,python3.10 python3,(3,10),(3,10))
TAP_AIRBYTE ?= git+https://github.com/MeltanoLabs/tap-airbyte-wrapper.git

DOCKER ?= $(firstword $(foreach name,docker podman,$(if $(shell command -v $(name)),$(name))))
# The one that the Dockerfile names by its digest, unless told otherwise.
BASE_IMAGE ?=
IMAGE ?= airbyte/source-exact-online:dev
# Tests run side by side, a file each: most of their time is the start of processes.
WORKERS ?= 2
# More arguments for the image's build, for pytest, for the demo and for benchmarks.
BUILD_FLAGS ?=
PYTEST_ARGS ?=
DEMO_ARGS ?=
WAREHOUSES_ARGS ?=
# A database in which `make load-test` may drop the schema exact_online.
LOAD_TEST_POSTGRES ?=
MELTANO_ARGS ?=
FUZZ_ARGS ?=
FUZZ_SECONDS ?= 60
MARTS_ARGS ?=
SOAK_ARGS ?=
# Days of hourly syncs that make soak simulates.
SOAK_DAYS ?= 3
MUTATE_ARGS ?=
# A server whose role may make databases and roles.
POSTGRES ?=
ORCHESTRATE_ARGS ?=
BENCH_ARGS ?=
CLIENTS_ARGS ?=
RECORD_ARGS ?=

SOURCES := source_exact_online sandbox/exact_online_sandbox tools demo fuzz benchmarks examples unit_tests integration_tests setup.py sandbox/setup.py
SOURCES := $(wildcard $(SOURCES))
TEST_FILES = $(wildcard unit_tests/test_*.py unit_tests/*/test_*.py integration_tests/test_*.py)
BIN := .venv/bin

.PHONY: help
help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

.PHONY: demo
demo: demo-intro .venv-demo/ready ## load two administrations of the sandbox into DuckDB, then only what changed
	.venv-demo/bin/python -m demo $(DEMO_ARGS)

.PHONY: demo-intro
demo-intro:
	@test -e .venv-demo/ready || printf '%s\n' \
		"The first time, this installs the connector, dlt, DuckDB and matplotlib into .venv-demo:" \
		"750 MB on disk, some minutes. 'make clean' removes them." \
		"Then it serves a stand-in for Exact Online on this machine. Nothing leaves it."

.PHONY: picture
picture: .venv-demo/ready ## draw docs/demo.svg anew from a run of the demo
	mkdir -p demo/output
	CLICOLOR_FORCE=1 .venv-demo/bin/python -m demo > demo/output/printed.txt
	.venv-demo/bin/python -m tools.terminal_picture demo/output/printed.txt docs/demo.svg \
		--without "First load" --without "Revenue of the" --without "One sale" --without "Who owes most" --without "Which cost centers" \
		--without "Business goes on" --without "Calls to the API" --without "Yours to look at"

.PHONY: test
test: .venv/ready ## all tests that need no account, no container and no network (some minutes)
	@echo "Unit tests, then the console script against sandboxes on this machine: $(words $(TEST_FILES)) files, $(WORKERS) at a time"
	@echo "(WORKERS=4 where there are cores). Some minutes; a dot a test, and the share that is done."
	@test ! -f .cache/test-minutes || echo "The last run here that passed took $$(cat .cache/test-minutes) minutes."
	@mkdir -p .cache; began=$$(date +%s); \
		$(BIN)/pytest -n $(WORKERS) --dist loadfile unit_tests integration_tests $(PYTEST_ARGS) && \
		echo $$(( ($$(date +%s) - began + 59) / 60 )) > .cache/test-minutes

.PHONY: unit
unit: .venv/ready ## the unit tests alone, without the slow ones (seconds)
	$(BIN)/pytest -m "not slow" unit_tests $(PYTEST_ARGS)

.PHONY: coverage
coverage: .venv/ready ## the unit tests, and which lines and branches of the connector they reach: not below the floor
	$(BIN)/pytest -n $(WORKERS) --dist loadfile --cov --cov-report=term unit_tests $(PYTEST_ARGS)

# The list of licences is that of the locked versions.
.PHONY: lowest
lowest: .venv-lowest/ready ## all tests with the lowest versions that setup.py allows
	.venv-lowest/bin/pytest -n $(WORKERS) --dist loadfile unit_tests integration_tests \
		--deselect unit_tests/test_docs.py::test_the_licence_of_every_package_in_the_image_is_listed $(PYTEST_ARGS)

.PHONY: integration
integration: .venv/ready ## the integration tests alone: the console script against the sandbox
	$(BIN)/pytest integration_tests $(PYTEST_ARGS)

.PHONY: fast
fast: .venv/ready ## Airbyte's standard connector tests (FAST) against the sandbox
	$(BIN)/pytest -p airbyte_cdk.test.standard_tests.pytest_hooks \
		-m "not image_tests" integration_tests/standard_checks.py $(PYTEST_ARGS)

.PHONY: fast-image
fast-image: .venv/ready ## those of them that run the image (after make image), against the sandbox
	@test -n "$(DOCKER)" || { echo "make fast-image needs docker or podman on the PATH, or DOCKER=/path/to/one."; exit 1; }
	@mkdir -p .tmp/docker
	@printf '%s\n' "$$FAST_DOCKER" > .tmp/docker/docker && chmod +x .tmp/docker/docker
	PATH="$(CURDIR)/.tmp/docker:$$PATH" $(BIN)/pytest -p airbyte_cdk.test.standard_tests.pytest_hooks \
		-m image_tests --connector-image=$(IMAGE) --read-from-streams=default \
		integration_tests/standard_checks.py $(PYTEST_ARGS)
# The tests run a command called docker. The sandbox is on the host's loopback address, and the configuration that they
# mount is readable for the user who runs them alone.
define FAST_DOCKER
#!/bin/sh
test "$$1" = run || exec $(DOCKER) "$$@"
shift
exec $(DOCKER) run --network=host --user "$$(id -u)" "$$@"
endef
export FAST_DOCKER

.PHONY: soak
soak: .venv/ready ## simulated days of hourly syncs (SOAK_DAYS, SOAK_ARGS), then the tests that take minutes each
	$(BIN)/python -m integration_tests.soak --days $(SOAK_DAYS) $(SOAK_ARGS)
	$(BIN)/pytest -m soak unit_tests integration_tests $(PYTEST_ARGS)

.PHONY: fuzz
fuzz: .venv/ready .venv/atheris ## odd bytes to everything that reads what others have written, FUZZ_SECONDS=60 in all; FUZZ_ARGS
	PYTHONPATH=.venv/atheris $(BIN)/python -m fuzz --seconds $(FUZZ_SECONDS) $(FUZZ_ARGS)
# Atheris is built for few platforms: where it does not install, hypothesis alone does the fuzzing.
.venv/atheris: requirements/fuzz.txt .venv/dependencies
	rm -rf $@; mkdir -p $@
	-$(BIN)/pip install --quiet --no-deps --require-hashes --only-binary :all: --target $@ -r requirements/fuzz.txt
	@touch $@

.PHONY: warehouses
warehouses: .venv-warehouses/ready ## every stream through PyAirbyte into DuckDB; WAREHOUSES_ARGS="--postgres postgresql://..." for both
	.venv-warehouses/bin/python -m integration_tests.warehouses $(WAREHOUSES_ARGS)

.PHONY: load-test
load-test: .venv/ready ## `load` into Parquet files, all streams, and with LOAD_TEST_POSTGRES=postgresql://... into PostgreSQL
	LOAD_TEST_POSTGRES="$(LOAD_TEST_POSTGRES)" $(BIN)/pytest -m "soak or not soak" integration_tests/test_load.py $(PYTEST_ARGS)

.PHONY: marts
marts: .venv/ready .venv-marts/dependencies ## the dbt models on loads of the sandbox, tied out; MARTS_ARGS="--postgres postgresql://..." for both
	$(BIN)/python -m integration_tests.marts --dbt .venv-marts/bin/dbt $(MARTS_ARGS)

.PHONY: clients
clients: .venv/ready ## clients that others wrote against the sandbox, and the table in docs/sandbox.md; CLIENTS_ARGS="exactpy"
	$(BIN)/python -m integration_tests.clients $(CLIENTS_ARGS)

.PHONY: meltano
meltano: .venv-meltano/ready ## the core and more through Meltano into JSON lines and PostgreSQL; MELTANO_ARGS="--postgres postgresql://...", TAP_AIRBYTE=
	.venv-meltano/bin/python -m integration_tests.meltano_runs --tap-airbyte "$(TAP_AIRBYTE)" $(MELTANO_ARGS)

.PHONY: orchestrate
orchestrate: .venv/ready .venv-orchestrate/dependencies ## examples/dagster: 40 divisions, four workers on one login, one killed; POSTGRES=postgresql://... or a server of its own
	POSTGRES="$(POSTGRES)" $(BIN)/python -m integration_tests.orchestrate --dagster .venv-orchestrate/bin $(ORCHESTRATE_ARGS)

.PHONY: mutate
mutate: .venv-mutate/ready ## change the code where a mistake costs data or a login: do its tests notice? MUTATE_ARGS="page repair" for some of it
	.venv-mutate/bin/python -m tools.mutate $(MUTATE_ARGS)

.PHONY: bench
bench: .venv-bench/ready ## measure speed, memory and calls (an hour) and write docs/performance.md; BENCH_ARGS="--rows 20000" is quick
	.venv-bench/bin/python -m benchmarks $(BENCH_ARGS)

.PHONY: bench-load
bench-load: .venv-demo/ready .venv-warehouses/ready ## load beside PyAirbyte: time and memory of first loads; BENCH_ARGS="--lines 2000 --rounds 1" is quick
	.venv-demo/bin/python -m benchmarks.load --pyairbyte .venv-warehouses/bin/python $(BENCH_ARGS)

.PHONY: lint
lint: .venv/ready ## ruff, the format of the code, spelling, the direction of imports, mypy --strict
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check --quiet $(SOURCES) || { echo "make format would change the files above"; exit 1; }
	$(BIN)/codespell
	$(BIN)/lint-imports --no-logo --no-cache
	$(BIN)/mypy

.PHONY: format
format: .venv/ready ## format the code and fix what ruff can fix
	$(BIN)/ruff check --fix --quiet $(SOURCES) || true
	$(BIN)/ruff format $(SOURCES)

.PHONY: schemas
schemas: .venv/ready ## write the catalogue and source_exact_online/schemas/ anew from the reference and the decisions
	$(BIN)/python -m tools.generate_catalog
	$(BIN)/python -m tools.generate_schemas

.PHONY: docs
docs: .venv/ready ## write the tables of README.md and docs/ anew from the data files
	$(BIN)/python -m tools.document_tables
	$(BIN)/python -m tools.column_pages
	$(BIN)/python -m tools.licences

.PHONY: record
record: .venv/ready ## record what Exact answers, without anything personal: RECORD_ARGS="--config config.json"; else a rehearsal
	$(BIN)/python -m integration_tests.record $(RECORD_ARGS)

.PHONY: cassettes
cassettes: .venv/ready ## record the cassettes of the tests anew
	$(BIN)/pytest -m vcr --record-mode=rewrite unit_tests integration_tests $(PYTEST_ARGS)

.PHONY: lock
lock: .venv/ready ## resolve requirements/*.txt anew from setup.py, sandbox/setup.py and requirements/*.in
	$(LOCK) requirements/build.in --output-file requirements/build.txt
	$(LOCK) setup.py --extra postgres --output-file requirements/runtime.txt
	$(LOCK) setup.py sandbox/setup.py requirements/dev.in --extra tests --extra load --extra report --constraint requirements/runtime.txt \
		--output-file requirements/dev.txt
	$(LOCK) setup.py sandbox/setup.py requirements/demo.in --extra load --extra report --constraint requirements/dev.txt \
		--output-file requirements/demo.txt
	$(LOCK) setup.py sandbox/setup.py requirements/warehouses.in --output-file requirements/warehouses.txt
	$(LOCK) setup.py sandbox/setup.py requirements/meltano.in --constraint requirements/runtime.txt \
		--output-file requirements/meltano.txt
	$(LOCK) requirements/fuzz.in --output-file requirements/fuzz.txt
	$(LOCK) requirements/marts.in --output-file requirements/marts.txt
	$(LOCK) setup.py sandbox/setup.py requirements/mutate.in --extra tests --extra load --extra report --constraint requirements/dev.txt \
		--output-file requirements/mutate.txt
	$(LOCK) setup.py sandbox/setup.py requirements/bench.in --constraint requirements/runtime.txt \
		--output-file requirements/bench.txt
	$(LOCK) requirements/orchestrate.in --output-file requirements/orchestrate.txt
	$(LOCK) --resolution lowest-direct setup.py sandbox/setup.py requirements/lowest.in --extra tests --extra load --extra report \
		--output-file requirements/lowest.txt
# Exact versions with hashes, one file for every platform and Python >= 3.10. LOCK_ARGS=--upgrade takes the newest.
LOCK_ARGS ?=
LOCK = $(BIN)/uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-header --no-strip-extras \
	--annotation-style line $(LOCK_ARGS)

.PHONY: release
release: .venv/ready ## rehearse a release, offline: check, build, look into what was built, print what is left to do
	@test -z "$$(git status --porcelain)" || { git status --short; echo "Commit the above first: a release is built from a clean tree."; exit 1; }
	$(BIN)/pytest --quiet unit_tests/test_metadata.py
	$(BIN)/uv build --quiet --clear --offline --no-build-isolation --python $(BIN)/python --out-dir dist
	$(BIN)/python -m tools.check_release dist

.PHONY: image
image: ## build the connector's image (DOCKER, BASE_IMAGE, IMAGE, BUILD_FLAGS)
	@test -n "$(DOCKER)" || { echo "make image needs docker or podman on the PATH, or DOCKER=/path/to/one."; exit 1; }
	$(DOCKER) build $(BUILD_FLAGS) $(BASE_IMAGE:%=--build-arg BASE_IMAGE=%) \
		--build-arg REVISION=$(shell git rev-parse HEAD 2>/dev/null || echo unknown) -t $(IMAGE) .

.PHONY: image-test
image-test: .venv/ready ## run spec, check, discover and read of that image against the sandbox
	@test -n "$(DOCKER)" || { echo "make image-test needs docker or podman on the PATH, or DOCKER=/path/to/one."; exit 1; }
	DOCKER="$(DOCKER)" IMAGE="$(IMAGE)" $(BIN)/pytest integration_tests/image_checks.py $(PYTEST_ARGS)

.PHONY: postgres-test
postgres-test: .venv/ready ## the token store against PostgreSQL: a server of its own, or POSTGRES=postgresql://postgres:password@host/postgres
	POSTGRES="$(POSTGRES)" $(BIN)/pytest integration_tests/postgres_checks.py $(PYTEST_ARGS)

.PHONY: browser-test
browser-test: .venv/ready ## the login with a real browser: needs Chromium and chromedriver
	$(BIN)/pytest integration_tests/browser_checks.py $(PYTEST_ARGS)

.PHONY: clean
clean: ## remove the virtual environments, caches and what was built
	rm -rf .venv .venv-* .tmp .cache .coverage .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist \
		demo/output ./*.egg-info sandbox/*.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# An environment is made from its lock file, which is complete (--no-deps: there is nothing left to resolve).
VENV_PYTHON = $(PYTHON)
VENV_NEEDS = No Python 3.10 to 3.13 with venv found: install one (Debian: apt install python3-venv) or say PYTHON=/path/to/python3.
define VENV
@test -n "$(VENV_PYTHON)" || { echo "$(VENV_NEEDS)"; exit 1; }
@echo "Installing into $(@D) (about a minute) ..."
@"$(VENV_PYTHON)" -m venv --clear $(@D)
@$(@D)/bin/pip install --quiet $(VENV_PIP_FLAGS) --no-deps --require-hashes -r $<
@touch $@
endef

.venv/dependencies: requirements/dev.txt
	$(VENV)

.venv-%/dependencies: requirements/%.txt
	$(VENV)

.venv-demo/dependencies: VENV_PIP_FLAGS = --progress-bar on

.venv-warehouses/dependencies: VENV_PYTHON = $(PYAIRBYTE_PYTHON)
.venv-warehouses/dependencies: VENV_NEEDS = PyAirbyte needs Python 3.10, 3.11 or 3.12 with venv: install one or say make warehouses PYAIRBYTE_PYTHON=/path/to/python3.12.

.venv-meltano/dependencies: VENV_PYTHON = $(MELTANO_PYTHON)
.venv-meltano/dependencies: VENV_NEEDS = Meltano's wrapper of Airbyte sources needs Python 3.10 with venv: install it (such as: uv python install 3.10) or say make meltano MELTANO_PYTHON=/path/to/python3.10.

# The connector and the sandbox are installed from this working copy, editable: a change of their code needs no set-up.
%/ready: %/dependencies setup.py source_exact_online/version.py sandbox/setup.py sandbox/exact_online_sandbox/__init__.py
	$*/bin/pip install --quiet --no-deps --no-build-isolation -e . -e sandbox
	$*/bin/pip check --quiet
	@touch $@
.PRECIOUS: .venv-%/dependencies
