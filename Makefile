# Everything a user or a developer runs. `make demo` and `make test` set themselves up.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
TEST_LISTS := test-others test-streams test-covering test-uncounted test-deliveries # the longest first

.PHONY: demo test $(TEST_LISTS) oracle lint types bench bench-big-account bench-restore bench-peers chaos chaos-short chaos-points chaos-pressure chaos-definitions fuzz lock clean

$(READY): constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "milepost needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Name another one: make PYTHON=python3.12 demo")'
	$(PYTHON) -m venv $(VENV)
	@# --no-deps: the lock is complete, and pip would look at newer versions of `coverage[toml]` than the locked one.
	$(BIN)/pip install --quiet --no-deps --require-hashes -r constraints.txt
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	$(BIN)/pip check
	@touch $@

demo: $(READY)
	$(BIN)/milepost demo

test: $(READY)
	@# Several at once, for tests of the transport mostly wait for a broker. BESIDE: what else to make when there is a place.
	@PYTHONUNBUFFERED=1 $(MAKE) --no-print-directory -j4 $(if $(filter output-sync,$(.FEATURES)),--output-sync=line) $(TEST_LISTS) $(BESIDE)

# What covers state/. What is random or exhaustive is not needed for that, and would take half as long again or more.
COVERING_TESTS := tests/state tests/check tests/docs tests/budget tests/agents/answers $(addprefix tests/agents/test_,audiences_command.py checking.py comparing.py defining.py milestones_command.py snapshots.py)
DELIVERY_TESTS := tests/agents/delivery tests/generator tests/model
SAME_EACH_TIME := $(BIN)/python -m pytest -m "not hypothesis and not exhaustive"

test-covering: $(READY)
	$(SAME_EACH_TIME) $(COVERING_TESTS) --cov --cov-fail-under=100

test-streams: $(READY)
	$(SAME_EACH_TIME) tests/streams

test-deliveries: $(READY)
	$(SAME_EACH_TIME) $(DELIVERY_TESTS)

test-others: $(READY)
	$(SAME_EACH_TIME) tests $(addprefix --ignore=,tests/streams $(COVERING_TESTS) $(DELIVERY_TESTS))

test-uncounted: $(READY)
	$(BIN)/python -m pytest tests -m "hypothesis or exhaustive"

# Random definitions and worlds against brute force and SQL, other ones each time; up to three minutes a run.
ORACLE_RUNS ?= 24
oracle: $(READY)
	@for run in $$(seq $(ORACLE_RUNS)); do \
		$(BIN)/python -m pytest -q -k oracle -p no:cacheprovider --hypothesis-seed=$$RANDOM tests/state tests/check || exit 1; \
	done

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(READY)
	$(BIN)/mypy

# All scenarios: about an hour, and nothing else may run. Some, or a small run of all, which change no document:
# make bench BENCH="--only accounts late-5", make bench BENCH=--quick
BENCH ?= --publish
bench: $(READY)
	$(BIN)/python -m bench $(BENCH)

bench-big-account: $(READY)
	$(BIN)/python -m bench --only big-account

bench-restore: $(READY)
	$(BIN)/python -m bench.restore

# The same job on other engines: about half an hour, and each wants the machine for itself. A small run, which changes no
# document: make bench-peers PEERS="--events 50000 --accounts 2500 --repeats 1"
PEERS ?= --publish
PEERS_BUILD := build/peers
bench-peers: $(READY) $(PEERS_BUILD)/.ready $(PEERS_BUILD)/kafka_streams/.ready
	$(BIN)/python -m bench.peers $(PEERS)

$(PEERS_BUILD)/.ready: bench/peers/constraints.txt
	$(PYTHON) -m venv $(PEERS_BUILD)/venv
	$(PEERS_BUILD)/venv/bin/pip install --quiet --no-deps --require-hashes -r $<
	$(PEERS_BUILD)/venv/bin/pip check
	@touch $@

$(PEERS_BUILD)/kafka_streams/.ready: bench/peers/kafka_streams/pom.xml bench/peers/kafka_streams/src/main/java/JourneysJob.java
	mvn --quiet --batch-mode --file $< package
	@touch $@

# Faults on a real Kafka, by seed. SEEDS=7 repeats one; the folder of a seed that fails is kept in build/chaos.
SEEDS ?= 1-20
chaos: $(READY)
	$(BIN)/python -m chaos --seeds $(SEEDS) --faults 17 --keep build/chaos --report build/chaos.ndjson

# What CI runs of it: the faults that take seconds, one fixed seed, one to two minutes.
chaos-short: $(READY)
	$(BIN)/python -m chaos --seeds 102 --faults 6 --cheap

chaos-points: $(READY)
	$(BIN)/python -m chaos.crash_pairs
	$(BIN)/python -m chaos.worker_pairs

chaos-pressure: $(READY)
	$(BIN)/python -m chaos.pressure

chaos-definitions: $(READY)
	$(BIN)/python -m chaos.redefining

FUZZ_SECONDS ?= 300
fuzz: $(READY)
	@# Per target; beside the environment, which stays as it is locked.
	$(BIN)/pip install --quiet --no-deps --require-hashes --upgrade --target build/atheris -r tests/fuzz/requirements.txt
	PYTHONPATH=build/atheris $(BIN)/python -m tests.fuzz --seconds $(FUZZ_SECONDS)

lock:
	uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 --extra dev pyproject.toml -o constraints.txt
	uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 bench/peers/requirements.in -o bench/peers/constraints.txt

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
