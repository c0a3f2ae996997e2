# Everything a newcomer and CI need. `make` alone lists it.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help setup setup-dev up down reset status logs psql test lint docs lock demo demo-remove bench-idle bench-ingest kill-test bench-otlp

# The system's Python that makes .venv: 3.11, 3.12 or 3.13.
PYTHON ?= python3
LOCAL := .venv/bin/python -m deploy.local
# The commands that only talk to what `up` has made.
NEEDS_SETUP = @test -x .venv/bin/python || { echo "Nothing is set up here yet: run \`make up\`." >&2; exit 1; }
COMPILE := .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

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
	@.venv/bin/python -m pytest --cov --cov-report=term:skip-covered

lint: setup-dev ## Run every linter and the type checker
	@.venv/bin/ruff check --quiet . && .venv/bin/ruff format --quiet --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports
	@.venv/bin/sqlfluff lint --disable-progress-bar dbt_project/models dbt_project/tests

docs: setup-dev ## Renew docs/events.md and the JSON schema from the event contract
	@.venv/bin/python -m ingest_api.event_docs

lock: setup-dev ## Renew requirements/*.txt from requirements/*.in
	$(COMPILE) requirements/bootstrap.in -o requirements/bootstrap.txt
	$(COMPILE) requirements/runtime.in -o requirements/runtime.txt
	$(COMPILE) requirements/dev.in -o requirements/dev.txt

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
