.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
TESTS ?= tests proofs bench

##@ Start

run: ## start a database if none is set, deploy the views, and serve
	@$(PYTHON) -m launcher run

demo: ## as run, and open the editor that works offline
	@$(PYTHON) -m launcher demo

help: ## show this list
	@echo "usage: make TARGET    (docs/configuration.md lists the settings)" && awk -F ':.*## ' '/^##@ / {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  %-17s %s\n", $$1, $$2}' Makefile

##@ Views and data

diff-views: install ## show the changes of a deployment; fail if there are any
	@$(RUN) -m couchapp diff

deploy-views: install ## build changed views beside the old ones, then switch
	@$(RUN) -m couchapp deploy

rollback-views: install ## switch back to the views deployed before
	@$(RUN) -m couchapp rollback

##@ Tests and checks

test: tools ## run the whole suite against a real HTTP database
	$(RUN) -m pytest $(TESTS)

test-fast: tools ## run the tests that need no database, in half a minute
	$(RUN) -m pytest -m nodatabase -p no:schemathesis $(TESTS)

test-pythons: tools ## run test-fast on each Python 3.11 to 3.13 of this machine
	@$(RUN) -m tests.pythons

lint: tools ## run ruff and strict mypy
	$(RUN) -m ruff check . && $(RUN) -m ruff format --check . && $(RUN) -m mypy

format: tools ## let ruff rewrite the code
	$(RUN) -m ruff check --fix . && $(RUN) -m ruff format .

##@ Proofs (long)

prove-changes: tools ## follow the changes of 10,000 actions during faults
	DREAMSCRIPT_PROOF_ACTIONS=10000 DREAMSCRIPT_PROOF_HIDDEN_WRITES=1000 $(RUN) -m pytest -s --timeout 3600 proofs/test_followers.py proofs/test_late_feeds.py proofs/test_cluster_followers.py proofs/test_restored_feeds.py proofs/test_hidden_writes.py

prove-cluster: tools ## create 1,000 documents on a new cluster of three nodes
	DREAMSCRIPT_PROOF_CREATIONS=1000 DREAMSCRIPT_PROOF_DEADLINE=5 $(RUN) -m pytest -s --timeout 900 proofs/test_cluster.py

prove-convergence: tools ## let 1,000 edits and merges of regions converge
	DREAMSCRIPT_PROOF_ROUNDS_IN_MEMORY=2000 $(RUN) -m pytest -s -p no:schemathesis --timeout 7200 tests/domain/conflicts/test_convergence.py
	DREAMSCRIPT_PROOF_CONVERGENCE=1000 DREAMSCRIPT_PROOF_DOCUMENTS=50 DREAMSCRIPT_PROOF_LEAVES=1000 $(RUN) -m pytest -s --timeout 7200 proofs/test_convergence.py proofs/test_many_leaves.py

prove-deploy: tools ## read while a changed view is deployed
	DREAMSCRIPT_PROOF_DOCUMENTS=50000 $(RUN) -m pytest -s --timeout 900 proofs/test_readers.py

prove-history: tools ## kill capture, resolver and database 50 times
	DREAMSCRIPT_PROOF_KILLS=50 $(RUN) -m pytest -s -p no:schemathesis --timeout 3600 proofs/test_killed_jobs.py

prove-keys: tools ## revoke and rotate keys under load, and time refusals
	DREAMSCRIPT_PROOF_REVOCATIONS=1000 DREAMSCRIPT_PROOF_ROTATIONS=20 $(RUN) -m pytest -s --timeout 1800 proofs/test_live_keys.py
	@$(RUN) -m proofs.refusal_times

prove-listing: tools ## list by id while a large import waits to be indexed
	DREAMSCRIPT_PROOF_BATCHES=10 DREAMSCRIPT_PROOF_REPLICATED=100000 DREAMSCRIPT_PROOF_SECONDS=1 $(RUN) -m pytest -s --timeout 900 proofs/test_listing.py

prove-merges: tools ## merge 20,000 random texts, in every order, and 20,000 items
	DREAMSCRIPT_PROOF_MERGES=20000 DREAMSCRIPT_PROOF_CONFLICTS=20000 $(RUN) -m pytest -s -p no:schemathesis tests/domain/merging/test_random_merges.py tests/domain/conflicts/test_random_conflicts.py

prove-offline: tools ## edit at random in three RxDB clients, with random cuts
	DREAMSCRIPT_PROOF_OFFLINE_ROUNDS=200 $(RUN) -m pytest -s --timeout 900 tests/examples/test_rxdb.py -k random

prove-reads: tools ## write in one worker and read in another, 10,000 times
	DREAMSCRIPT_PROOF_PAIRS=10000 $(RUN) -m pytest -s --timeout 1800 proofs/test_live_reads.py

prove-walk: tools ## walk 10,000 documents while others come and go
	DREAMSCRIPT_WALK=10000 $(RUN) -m pytest -s --timeout 900 proofs/test_walk.py

prove-faults: tools ## let network, workers and database fail
	DREAMSCRIPT_PROOF_ROUNDS=50 $(RUN) -m pytest -s --timeout 3600 proofs

##@ Benchmarks

bench: tools ## compare the service with CouchDB alone (needs wrk)
	@$(RUN) -m bench

bench-scale: tools ## compare pages among 1,000 and 1,000,000 documents
	@$(RUN) -m bench.scale

bench-memory: tools ## watch the memory of the workers for an hour (needs wrk)
	@$(RUN) -m bench.memory

bench-pages: tools ## measure the cost of pages, as ratios
	@$(RUN) -m bench.pages

bench-changes: tools ## time events, reads beside waiting clients, first syncs
	@$(RUN) -m bench.change_feeds

bench-slow: tools ## time requests beside idle and dripping connections
	@$(RUN) -m bench.slow_clients

bench-history: tools ## compare writes with and without captured versions (wrk)
	@$(RUN) -m bench.history

bench-path: tools ## count the files that a request enters
	@$(RUN) -m bench.request_path

##@ Installation

install: ## create .venv with the packages of the service
	@$(PYTHON) -m launcher install

tools: ## add the packages of the tests and checks
	@$(PYTHON) -m launcher tools

clean: ## remove .venv and caches; the data in var/ stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis app/local_couchdb/pouchdb/node_modules var/pythons var/openapi

.PHONY: run demo help diff-views deploy-views rollback-views test test-fast test-pythons lint format prove-changes prove-cluster prove-convergence prove-deploy prove-history prove-keys prove-listing prove-merges prove-offline prove-reads prove-walk prove-faults bench bench-scale bench-memory bench-pages bench-changes bench-slow bench-history bench-path install tools clean
