# The index of commands. `make demo` and `make test` do all their set-up themselves.

CARGO ?= cargo
NPM ?= npm
TOOLS := target/tools
CONSOLE := central-hub/console
DEMO_SECONDS ?=
SEEDS ?= 2000
MINUTES ?= 3
POWER_CUTS ?= 10000
DAYS ?= 30
BEDS ?= 40
KILLS ?= 500
CUTS ?= 120
DEPTH ?= 7

.PHONY: help demo test bench prove fmt lint deny words console console-test unit system browser build release setup clean

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: release ## a live unit of eight beds in the browser (DEMO_SECONDS=60 ends by itself)
	target/release/simulators demo $(if $(DEMO_SECONDS),--seconds $(DEMO_SECONDS))

test: setup fmt console-test lint deny words unit system browser ## everything that must pass before a change lands
	@echo
	@echo "make test: all checks passed"

bench: release ## figures beside their floors and peers; also in target/figures.tsv (COTSIDE_DRAIN_BEDS=40 COTSIDE_DRAIN_HOURS=72, COTSIDE_FULL_MIB=2048: whole sizes; COTSIDE_CROWD=100: a small crowd)
	$(CARGO) run --release -q -p cotside-tests --bin bench

prove: release ## long campaigns: seeds, power cuts and a month of forty beds in virtual time, kill -9 and power cuts of real processes, fuzzing (SEEDS=, POWER_CUTS=, DAYS=, BEDS=, MINUTES=, KILLS=, CUTS=, DEPTH=)
	COTSIDE_SEEDS=$(SEEDS) COTSIDE_CUTS=$(POWER_CUTS) $(CARGO) test --release -q -p cotside-tests --test unit_in_virtual_time -- --nocapture
	COTSIDE_DEPTH=$(DEPTH) $(CARGO) test --release -q -p cotside-tests --test alarm_contract -- --nocapture
	DAYS=$(DAYS) BEDS=$(BEDS) $(CARGO) run --release -q -p cotside-tests --bin month
	COTSIDE_KILLS=$(KILLS) $(CARGO) run --release -q -p cotside-tests --bin kill_nine
	COTSIDE_CUTS=$(CUTS) $(CARGO) run --release -q -p cotside-tests --bin power_cut
	fuzz/run $(MINUTES)

fmt: ## formatting, checked
	$(CARGO) fmt --all --check

lint: console ## clippy, without a warning
	$(CARGO) clippy --workspace --all-targets -q -- -D warnings

deny: setup ## licences, sources and bans of every dependency
	$(TOOLS)/bin/cargo-deny check --hide-inclusion-graph licenses bans sources

words: setup ## spelling
	$(TOOLS)/bin/typos

console: $(CONSOLE)/dist/index.html ## the nursing station's page, built

$(CONSOLE)/dist/index.html: $(CONSOLE)/package-lock.json $(CONSOLE)/index.html $(CONSOLE)/bedside.html $(CONSOLE)/vite.config.ts $(CONSOLE)/vite.bedside.config.ts $(wildcard $(CONSOLE)/src/*)
	cd $(CONSOLE) && $(NPM) ci --no-audit --no-fund --loglevel=error && $(NPM) run --silent build
	@touch $@

console-test: console ## the page's own tests
	cd $(CONSOLE) && $(NPM) test --silent

unit: console ## tests of every crate
	$(CARGO) test --workspace -q --exclude cotside-tests

build: console
	$(CARGO) build --workspace --bins -q

system: build ## the whole system: virtual time, real processes, kill -9, an external broker
	$(CARGO) test -q -p cotside-tests -- --nocapture

browser: build ## the page in headless Chromium against a real unit of eight beds
	tests/browser

release: console
	$(CARGO) build --release --workspace --bins

setup: ## installs what the tests need from Debian's and Python's registries, where it is missing
	@tests/setup

clean: ## forgets everything that was built
	$(CARGO) clean
	rm -rf $(CONSOLE)/node_modules $(CONSOLE)/dist
