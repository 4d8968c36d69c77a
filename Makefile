# The one door: the same commands for a newcomer, a contributor and CI.
#   make run     set up and run the daemon on configs/quickstart.yaml
#   make demo    send a few realistic LLM traces to a running daemon
#   make test    set up and run the tests
PYTHON ?= python3
CONFIG ?= configs/quickstart.yaml
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
CARGO  ?= cargo
RUST   := $(shell sed -n 's/^rust-version = "\(.*\)"/\1/p' native/Cargo.toml)
NATIVE := $(shell find native -path native/target -prune -o -path native/fuzz -prune -o -type f -print)
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile
FORCE_NATIVE := UNTRACE_PIPELINE_CODEC=native UNTRACE_PIPELINE_INGRESS=native UNTRACE_PIPELINE_EGRESS=native

.DEFAULT_GOAL := help
.PHONY: help run demo native native-test test test-native test-python integration lint format type docs \
        docs-check fuzz fuzz-native miri peers test-destinations bench soak wheel wheel-check dist-native has-cargo clean

help:  ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; name another: make PYTHON=python3.12 …")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable '.[demo,watch]'
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable '.[dev]'
	@touch $@ $(VENV)/.run

run: $(VENV)/.run  ## Run the daemon on configs/quickstart.yaml (CONFIG=… for another)
	$(BIN)/untrace-pipeline run --config $(CONFIG)

native: has-cargo $(VENV)/.native  ## Build and install the native codec and transports (needs cargo); optional

# Built in native/target, so that only what has changed is compiled; with symbols, for profilers. The stamp has the time
# when the build began: what is changed meanwhile is built again.
$(VENV)/.native: $(NATIVE) | $(VENV)/.run
	@touch $@.begun
	MATURIN_STRIP=false $(PIP) ./native
	@mv $@.begun $@

has-cargo:
	@have=$$($(CARGO) --version 2>/dev/null | cut -d' ' -f2); \
	if [ -z "$$have" ]; then echo "cargo (Rust $(RUST) or newer) is not on the path: https://rustup.rs; without it everything runs in Python" >&2; exit 1; fi; \
	if [ "$$(printf '%s\n' $(RUST) "$$have" | sort -V | head -n 1)" != $(RUST) ]; then echo "Rust $(RUST) or newer is needed, this is $$have: rustup update; without it everything runs in Python" >&2; exit 1; fi

demo: $(VENV)/.run  ## Send a few realistic LLM traces, metrics and logs to a running daemon
	$(BIN)/python examples/demo.py

test: $(VENV)/.dev  ## All tests; those that need a real peer skip with the reason where it is not built (make peers)
	@$(BIN)/python -c 'from untrace_pipeline import native; print("runtime:", native.summary())'
	$(PYTEST)

test-native: native $(VENV)/.dev  ## All tests with the native codec and transports
	@$(FORCE_NATIVE) $(BIN)/python -c 'from untrace_pipeline import native; print("runtime:", native.summary())'
	$(PYTEST)

test-python: export UNTRACE_PIPELINE_CODEC = upb
test-python: export UNTRACE_PIPELINE_INGRESS = python
test-python: export UNTRACE_PIPELINE_EGRESS = python
test-python: PYTEST += -m 'not once'
test-python: test  ## The tests without anything native, installed or not; those that make no difference to are left out

native-test: has-cargo  ## Format, lint and tests of the Rust crates
	cd native && $(CARGO) fmt --all --check
	cd native && $(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	cd native && $(CARGO) test --locked --workspace --quiet

integration: $(VENV)/.dev  ## Only the tests against real peers and the daemon as a process
	$(BIN)/python -m pytest tests/integration tests/e2e

lint: $(VENV)/.dev  ## Formatting, lint, and generated documentation that is out of date
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(MAKE) --no-print-directory docs-check

format: $(VENV)/.dev  ## Format and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

type: $(VENV)/.dev  ## Type check, strict
	$(BIN)/mypy

docs: $(VENV)/.dev  ## Write the generated parts of the documentation
	$(BIN)/python -m untrace_pipeline.config.document
	$(BIN)/python -m untrace_pipeline.config.destination_pages
	$(BIN)/python -m tests.support.destinations.fields
	$(BIN)/python -m untrace_pipeline.telemetry.document

docs-check: $(VENV)/.dev
	$(BIN)/python -m untrace_pipeline.config.document --check
	$(BIN)/python -m untrace_pipeline.config.destination_pages --check
	$(BIN)/python -m tests.support.destinations.fields --check
	$(BIN)/python -m untrace_pipeline.telemetry.document --check

fuzz: $(VENV)/.dev  ## Coverage-guided fuzzing of the decoders and the config loader, a minute each (SECONDS_EACH=60)
	$(PIP) '.[fuzz]'
	$(BIN)/python tests/fuzz/fuzz_decoders.py -max_total_time=$(or $(SECONDS_EACH),60)
	$(BIN)/python tests/fuzz/fuzz_config.py -max_total_time=$(or $(SECONDS_EACH),60)
	@if $(BIN)/python -c 'import untrace_pipeline_native' 2>/dev/null; then \
	  $(BIN)/python tests/fuzz/fuzz_native.py -max_total_time=$(or $(SECONDS_EACH),60); \
	else echo "the native codec is not compared: not installed (make native)"; fi

fuzz-native: has-cargo $(VENV)/.dev  ## Coverage-guided fuzzing of the Rust crates with AddressSanitizer (needs nightly and cargo-fuzz)
	$(BIN)/python tests/fuzz/native_corpus.py native/fuzz/corpus
	cd native && for target in codec json search ingress; do \
	  $(CARGO) +nightly fuzz run $$target -- -max_total_time=$(or $(SECONDS_EACH),60) -timeout=10 -max_len=4096 || exit 1; done

miri: has-cargo  ## Tests of the codec's crates under Miri (needs nightly with miri and rust-src); some minutes
	cd native && MIRIFLAGS=-Zmiri-disable-isolation $(CARGO) +nightly miri test -p otlp-wire -p otlp-edit -p otlp-json

peers: $(VENV)/.dev  ## Build the real peers that tests and benchmarks compare with (Go Collector: about ten minutes once; Kafka by Maven, object stores by pip, Go and npm)
	$(BIN)/python -m tests.support.peers build collector h2spec kafka kfake prometheus moto fake-gcs azurite \
	  llm-clients llm-clients-node litellm clickhouse opensearch ddapm schemathesis vendor-sdks vendor-sdks-old prometheus-collector

# Phoenix and MLflow take 850 MB and two minutes each, Jaeger and Loki minutes of compiling: not for every run of the tests.
test-destinations: $(VENV)/.dev  ## Send to every destination, real where it runs here, and ask it: a table, kept in out/destinations.md (ARGS="phoenix jaeger")
	-$(BIN)/python -m tests.support.peers build azurite clickhouse collector ddapm fake-gcs jaeger kafka loki mlflow moto opensearch phoenix prometheus
	$(BIN)/python -m tests.support.proofs $(ARGS)

bench: $(VENV)/.dev  ## Side by side with the Go Collector and LiteLLM's proxy; results in benchmarks/results/ (ARGS=--quick)
	$(BIN)/python -m benchmarks $(ARGS)
	$(BIN)/python -m benchmarks proxy $(PROXY_ARGS)

SOAK := $(BIN)/python -m tests.soak

soak: $(VENV)/.dev  ## Proofs at length: kills, faults, damage, a dead destination, Kafka, overload; about an hour, kept in out/soak
	rm -rf out/soak && mkdir -p out/soak
	$(SOAK).crash --kills 50 --seed 1 --directory out/soak/kills
	$(SOAK).crash --kills 50 --seed 2 --faults --directory out/soak/faults
	$(SOAK).crash --kills 50 --seed 3 --damage --directory out/soak/damage
	$(SOAK).crash --kills 50 --seed 4 --damage --faults --batch --workers 2 --directory out/soak/all
	$(SOAK).dead_destination --minutes 10 --directory out/soak/down
	$(SOAK).dead_destination --minutes 5 --how hang --directory out/soak/hang
	$(SOAK).kafka --spans 1000000 --directory out/soak/kafka
	$(BIN)/python -m benchmarks --only ours --scenario overload --results out/soak

wheel: $(VENV)/.dev  ## Build the distributions into dist/; the native one where cargo is
	rm -f dist/untrace_pipeline*
	$(BIN)/python -m build
	@if $(MAKE) --no-print-directory has-cargo; then $(MAKE) --no-print-directory dist-native; else echo "the native wheel is left out" >&2; fi

# The wheel comes out of the source distribution, which is so known to be complete; with a target directory of its own,
# because times of files in a distribution say nothing, and cargo would take what it built of an older one.
dist-native: has-cargo $(VENV)/.dev
	$(BIN)/python -m build --sdist --outdir dist native
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist dist/untrace_pipeline_native-*.tar.gz

wheel-check: has-cargo wheel  ## Install the wheels under each other Python that is here, and send data through
	UNTRACE_WHEELS=dist $(BIN)/python -m pytest tests/integration/test_wheels.py

clean:  ## Remove what the other targets made
	rm -rf $(VENV) native/target build dist out .mypy_cache .ruff_cache .pytest_cache .hypothesis
