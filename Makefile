# Everything a newcomer and CI need. `make` alone lists it.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help setup setup-dev up down reset status logs psql test test-parts test-platform coverage \
	lint docs dbt-docs lock demo demo-remove bench-idle bench-ingest kill-test bench-otlp bench-live \
	check-exporters bench-cost bench-marts bench-anomaly bench-query bench-alerts bench-sdk bench-checks test-sdk-versions test-sdk-transport

# The system's Python that makes .venv: 3.11, 3.12 or 3.13.
PYTHON ?= python3
LOCAL := .venv/bin/python -m deploy.local
# The commands that only talk to what `up` has made.
NEEDS_SETUP = @test -x .venv/bin/python || { echo "Nothing is set up here yet: run \`make up\`." >&2; exit 1; }
COMPILE := .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' Makefile

setup:
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is missing: run \`apt-get install python3 python3-venv\`." >&2; exit 1; }
	@$(PYTHON) -m deploy.local.bootstrap

setup-dev:
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is missing: run \`apt-get install python3 python3-venv\`." >&2; exit 1; }
	@$(PYTHON) -m deploy.local.bootstrap --dev

up: setup ## Set up what is missing and run the platform; Ctrl-C stops it
	@$(LOCAL) up

down: ## Stop the platform from another terminal
	$(NEEDS_SETUP)
	@$(LOCAL) down

reset: ## Delete all data of this clone, after a question
	$(NEEDS_SETUP)
	@$(LOCAL) reset

status: ## Show each process, its port and its health
	$(NEEDS_SETUP)
	@$(LOCAL) status

logs: ## Follow the logs; P=api shows one process
	$(NEEDS_SETUP)
	@$(LOCAL) logs $(P)

psql: ## Open the database
	$(NEEDS_SETUP)
	@$(LOCAL) psql

test: lint ## Run every linter and every test
	@echo "Tests run in two halves, which print what they found when they end: 23 minutes."
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target test-parts test-platform

# Each half has its own PostgreSQL, Redis and platform. Only one of them may build npm packages,
# fetch a browser or start the whole platform: these write into folders of the clone. The browser
# comes first: after the kills a hundred thousand events are still to be built.
PLATFORM_TESTS := tests/browser tests/sdk $(sort $(wildcard tests/test_*.py))

test-parts: setup-dev
	@.venv/bin/python -m pytest $(PLATFORM_TESTS:%=--ignore=%)

test-platform: setup-dev
	@.venv/bin/python -m pytest $(PLATFORM_TESTS)

coverage: setup-dev ## Run every test and show which lines none of them has run, 35 minutes
	@.venv/bin/python -m pytest --cov --cov-report=term:skip-covered

lint: setup-dev ## Run every linter and the type checker
	@.venv/bin/ruff check --quiet . && .venv/bin/ruff format --quiet --check .
	@.venv/bin/mypy
	@cd sdk/python && ../../.venv/bin/mypy
	@.venv/bin/python -m tests.node_packages sdk/typescript && cd sdk/typescript && npm run --silent check
	@.venv/bin/lint-imports
	@.venv/bin/sqlfluff lint --disable-progress-bar dbt_project/models dbt_project/tests

docs: setup-dev ## Renew docs/events.md and what the SDKs take from the server: schema, providers
	@.venv/bin/python -m ingest_api.event_docs

dbt-docs: setup ## Write the docs of every model and column to .llmscope/dbt-docs
	@export DATABASE_URL=postgresql://nobody@127.0.0.1/none DBT_TARGET_PATH=$(CURDIR)/.llmscope/dbt-docs \
		DBT_LOG_PATH=$(CURDIR)/.llmscope/dbt-docs && \
	.venv/bin/python -m orchestration.transforming.run_dbt --quiet parse && \
	.venv/bin/python -m orchestration.transforming.run_dbt --quiet docs generate --empty-catalog --no-compile --static
	@echo "Open .llmscope/dbt-docs/static_index.html in a browser."

lock: setup-dev ## Renew requirements/*.txt from requirements/*.in
	$(COMPILE) requirements/bootstrap.in -o requirements/bootstrap.txt
	$(COMPILE) requirements/runtime.in -o requirements/runtime.txt
	$(COMPILE) requirements/dev.in -o requirements/dev.txt
	$(COMPILE) requirements/instrumentations.in -o requirements/instrumentations.txt
	$(COMPILE) requirements/bench.in -o requirements/bench.txt
	$(COMPILE) requirements/sdk.in -o requirements/sdk.txt
	$(COMPILE) requirements/sdk-openai1.in -o requirements/sdk-openai1.txt
	$(COMPILE) requirements/sdk-openai2.in -o requirements/sdk-openai2.txt
	$(COMPILE) requirements/examples.in -o requirements/examples.txt

demo: ## Send a month of demo traffic, then a live trickle
	$(NEEDS_SETUP)
	@$(LOCAL) run python -m deploy.demo send $(ARGS)

demo-remove: ## Remove everything that the demo sent
	$(NEEDS_SETUP)
	@$(LOCAL) run python -m deploy.demo remove

bench-idle: ## Measure what the running platform uses while nothing arrives
	$(NEEDS_SETUP)
	@.venv/bin/python -m benchmarks.idle

bench-ingest: setup-dev ## Measure ingestion against bare COPY and a bare handler, 6 minutes
	@.venv/bin/python -m benchmarks.ingest $(ARGS)

kill-test: setup-dev ## Kill processes, fill disks, lose databases under 5,000 events/s, 10 minutes
	@.venv/bin/python -m tests.kills $(ARGS)

bench-otlp: setup-dev ## Compare recorded OTLP requests with the truth, and measure their mapping, 1 minute
	@.venv/bin/python -m benchmarks.otlp

check-exporters: setup-dev ## Send calls of today's OpenTelemetry instrumentations to the running platform, and compare
	@$(LOCAL) run python -m tests.exporters

bench-cost: setup-dev ## Compare costs of recorded answers with other price tables, 1 minute
	@.venv/bin/python -m benchmarks.cost

bench-anomaly: setup-dev ## Score the anomaly detector by NAB's procedure beside the published board, 1 minute
	@.venv/bin/python -m benchmarks.anomaly

bench-marts: setup-dev ## Measure builds on histories of 1, 5 and 20 million calls, an hour and 65 GB
	@.venv/bin/python -m benchmarks.marts $(ARGS)

bench-checks: setup-dev ## Measure all quality checks after a build, on a history of 5 million calls
	@.venv/bin/python -m benchmarks.checks $(ARGS)
bench-alerts: setup-dev ## Measure the evaluation of 500 alert rules over 5 million calls
	@.venv/bin/python -m benchmarks.alerts $(ARGS)

bench-query: setup-dev ## Measure the Query API over 20 million calls, which take an hour to build the first time
	@.venv/bin/python -m benchmarks.query $(ARGS)

bench-live: setup-dev ## Measure the live feed: 500 events/s to 200 clients, one of them stuck, 90 s
	@.venv/bin/python -m benchmarks.live

bench-sdk: setup-dev ## Replay recorded calls through the Python SDK, and measure what it costs, 1 minute
	@python="$$(.venv/bin/python -m tests.environments sdk)" && cd sdk/python && \
		PYTHONPATH=src:. "$$python" -m benchmarks

test-sdk-transport: setup-dev ## Send 100,000 events of the Python SDK through outages and a SIGKILL, 3 minutes
	@python="$$(.venv/bin/python -m tests.environments sdk)" && cd sdk/python && \
		PYTHONPATH=src:. "$$python" -m benchmarks.transport $(ARGS)

test-sdk-versions: setup-dev ## Test the Python SDK with the newest and with older client libraries, 3 minutes
	@for name in sdk sdk-openai2 sdk-openai1; do \
		python="$$(.venv/bin/python -m tests.environments $$name)" || exit 1; \
		echo "$$name"; cd sdk/python; "$$python" -m pytest -q -p no:cacheprovider || exit 1; cd ../..; \
	done
