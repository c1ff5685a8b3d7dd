.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
PIP := $(RUN) -m pip install --quiet --disable-pip-version-check -c constraints.txt
TESTS ?= tests proofs bench

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' Makefile | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

$(VENV)/installed: requirements.txt constraints.txt
	$(PYTHON) -m venv $(VENV) && $(PIP) -r requirements.txt && touch $@

$(VENV)/tools-installed: $(VENV)/installed tests/requirements.txt
	$(PIP) -r tests/requirements.txt && touch $@

install: $(VENV)/installed ## create .venv with the pinned dependencies of the service

tools: $(VENV)/tools-installed ## add those of the tests and checks

run: install ## start a database if COUCHDB_URL is not set, deploy the views, serve on 127.0.0.1:8000
	@$(RUN) -m app run

test: tools ## run the whole suite against a real HTTP database
	$(RUN) -m pytest $(TESTS)

test-fast: tools ## run the tests that need no database, in half a minute
	$(RUN) -m pytest -m nodatabase -p no:schemathesis $(TESTS)

test-pythons: tools ## run `test-fast` on each Python 3.11 to 3.13 of this machine
	@$(RUN) -m tests.pythons

bench: tools ## compare the service with CouchDB alone, as ratios; needs wrk
	@$(RUN) -m bench

bench-scale: tools ## compare pages among 1,000 documents with pages among 1,000,000
	@$(RUN) -m bench.scale

bench-memory: tools ## watch the memory of the workers during as many requests as an hour has; needs wrk
	@$(RUN) -m bench.memory

bench-pages: tools ## measure what pages cost, as ratios, on the tests' database
	@$(RUN) -m bench.pages

bench-slow: tools ## time ordinary requests beside 2,000 idle connections and 500 dripping bodies
	@$(RUN) -m bench.slow_clients

bench-path: tools ## count the files that a request enters and the depth of its stack, on the tests' database
	@$(RUN) -m bench.request_path

prove-deploy: tools ## read while a changed view is deployed over 50,000 documents
	DREAMSCRIPT_PROOF_DOCUMENTS=50000 $(RUN) -m pytest -s --timeout 900 proofs/test_readers.py

prove-keys: tools ## revoke 1,000 keys and rotate 20 under load, and time 10,000 refusals of each kind
	DREAMSCRIPT_PROOF_REVOCATIONS=1000 DREAMSCRIPT_PROOF_ROTATIONS=20 $(RUN) -m pytest -s --timeout 1800 proofs/test_live_keys.py
	@$(RUN) -m proofs.refusal_times

prove-reads: tools ## write 10,000 times in one of two workers and read at once in the other
	DREAMSCRIPT_PROOF_PAIRS=10000 $(RUN) -m pytest -s --timeout 1800 proofs/test_live_reads.py

prove-walk: tools ## walk 10,000 documents, page by page, while others come and go
	DREAMSCRIPT_WALK=10000 $(RUN) -m pytest -s --timeout 900 proofs/test_walk.py

prove-faults: tools ## let the network, the workers and the database fail fifty times as often as in a test run
	DREAMSCRIPT_PROOF_ROUNDS=50 $(RUN) -m pytest -s --timeout 3600 proofs

diff-views: install ## show what deploy-views would change; fails if anything
	@$(RUN) -m couchapp diff

deploy-views: install ## build changed views beside the old ones, then switch to them
	@$(RUN) -m couchapp deploy

rollback-views: install ## switch back to the views deployed before
	@$(RUN) -m couchapp rollback

lint: tools ## ruff and strict mypy
	$(RUN) -m ruff check . && $(RUN) -m ruff format --check . && $(RUN) -m mypy

format: tools ## let ruff rewrite what it can
	$(RUN) -m ruff check --fix . && $(RUN) -m ruff format .

clean: ## remove .venv and caches; the data in var/ stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis app/local_couchdb/pouchdb/node_modules var/pythons var/openapi

.PHONY: help install tools run test test-fast test-pythons bench bench-scale bench-memory bench-pages bench-slow bench-path prove-deploy prove-keys prove-reads prove-walk prove-faults diff-views deploy-views rollback-views lint format clean
