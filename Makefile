# SPDX-License-Identifier: Apache-2.0
# The front door. Everything is built by CMake (CMakePresets.json); see CONTRIBUTING.md.

BUILD := build
JOBS ?= $(shell nproc)
# how many tests run side by side: most of them wait for something
TEST_JOBS ?= $(shell echo $$(($$(nproc) + 3)))
# make test ARGS='-R unit/json' passes arguments to ctest
ARGS ?=
KEEP ?=
# of make soak, in seconds; and a seed that an earlier one printed, to repeat it
DURATION ?= $(if $(CI),120,600)
SEED ?=

.DEFAULT_GOAL := help
.PHONY: help demo demo-stop test build deps deps-ci setup setup-test check generate bench soak
.PHONY: fmt clean

help: ## what there is
	@echo 'usage: make TARGET'
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | \
	    while IFS='|' read -r target text; do printf '  %-10s %s\n' "$$target" "$$text"; done

demo: setup build ## a cluster, an ECR and the operator in action, on loopback; KEEP=1 leaves them
	@KEEP=$(KEEP) scripts/demo.sh

demo-stop: ## stops what make demo KEEP=1 left running
	@scripts/demo.sh --stop

test: setup-test build ## unit, contract and integration tests; ARGS go to ctest
	@ctest --test-dir $(BUILD) --output-on-failure -j $(TEST_JOBS) $(ARGS)

check: deps-ci setup-test ## sanitizers, torture, fuzzers, tidy, coverage, mutants; ARGS=tidy one
	@JOBS=$(JOBS) TEST_JOBS=$(TEST_JOBS) scripts/check.sh $(ARGS)

bench: deps-ci setup build ## time, CPU, memory, calls against goals; ARGS=--quick, ARGS=start one
	@scripts/bench.sh $(ARGS)

soak: setup build ## random edits, faults and restarts; DURATION=600 seconds, SEED=n as before
	@scripts/soak.sh --duration $(DURATION) $(if $(SEED),--seed $(SEED)) $(ARGS)
	@scripts/soak.sh --webhook --duration $$(($(DURATION) / 2))

generate: build ## manifests and docs/reference/api.md from the tables
	@$(BUILD)/bin/berth-crdgen crds > manifests/crds.yaml
	@$(BUILD)/bin/berth-crdgen docs > docs/reference/api.md
	@$(BUILD)/bin/berth-operator webhook-manifest > manifests/webhook.yaml

build: deps ## the programs, in build/bin
	@scripts/build.sh $(BUILD) $(JOBS)

deps: ## installs the missing packages of the distribution
	@scripts/deps.sh

deps-ci: # and what only the checks need
	@scripts/deps.sh --ci

setup: deps
	@scripts/setup.sh

setup-test: deps
	@scripts/setup.sh --test

fmt: ## formats the C sources
	@scripts/format.sh

clean: ## removes build/ (the cache with Kubernetes stays: see scripts/control-plane.sh)
	rm -rf $(BUILD)
