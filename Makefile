# Every command sets up what it needs (local/setup.sh) and works from a clean clone.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
PYTHON := .venv/bin/python
export PYTHONPATH := .

.PHONY: help help-dev setup run demo-faults serve sql backup restore test test-hosted soak bench bench-document mutants lint \
    migration format docs pictures stack stack-down exchange model model-check stage check-keys clean

help: ## what there is for an owner
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1\t\2/' | expand -t 16
	@echo "./interlock     an owner's commands: ./interlock --help"
	@echo "./deploy.sh     everything in the cloud: ./deploy.sh --dry-run shows each command"

help-dev: ## what there is for whoever changes Interlock
	@grep -hE '^[a-z-]+:.*##: ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*##: (.*)/\1\t\2/' | expand -t 16

setup: ##: install what the project needs, into this folder alone
	@bash local/setup.sh

run: setup ## one whole cycle on real parts; CANDLES=…, PRICES=bitvavo, MODEL=openai
	@bash local/start.sh cycle

demo-faults: setup ## the cycle once more, and the answer to the order is lost
	@bash local/start.sh cycle lost-answer

serve: setup ## the local world and the three functions on their schedule; what it stores stays; MODE=dry_run, FRESH=1
	@bash local/start.sh serve

sql: setup ## run SQL from standard input on DATABASE_URL and show what it answers
	@$(PYTHON) -m local.query

backup: setup ## copy the database of make serve
	@$(PYTHON) -m local.backup take

restore: setup ## put that copy back: what happened since is forgotten
	@$(PYTHON) -m local.backup put-back

test: setup ##: every test, on a real stack
	@$(PYTHON) -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder
	@bash local/test_deployed_python.sh

test-hosted: setup ##: the guarantees on Supabase's own containers; needs Docker
	@bash local/test_hosted.sh

soak: setup ##: the long proofs, minutes each
	@$(PYTHON) -m tests.mutation
	@$(PYTHON) -m pytest -m soak
	@$(PYTHON) -m bench.approvals

bench: ##: measure, each figure beside what it is held against; BENCHES=scan_tick
	@bash local/setup.sh bench
	@$(PYTHON) -m bench $(BENCHES)

bench-document: setup ##: write docs/PERFORMANCE.md and its plots from the latest three runs
	@$(PYTHON) -m bench.document

migration: setup ##: write what the schemas say and the migrations do not yet; NAME=add_exposure
	@$(PYTHON) -m tools.migration "$(NAME)"

model-check: setup ##: explore the protocol, and what breaks without each of its rules; CASES=two-rounds
	@$(PYTHON) -m tests.protocol $(CASES)

mutants: setup ##: take each mechanism out and see a test fail
	@$(PYTHON) -m tests.mutants

lint: setup ##: formatting, lint, types, import walls, shell, SQL, workflow
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m mypy
	@.venv/bin/lint-imports
	@.venv/bin/shellcheck .ci/run deploy.sh interlock local/*.sh tests/deploy/*.sh
	@.venv/bin/zizmor --offline --quiet .github
	@node_modules/.bin/action-validator .github/workflows/ci.yml
	@.venv/bin/squawk --pg-version 17.0 --assume-in-transaction supabase/migrations/*.sql supabase/rollback/*.sql

format: setup ##: format the Python code
	@$(PYTHON) -m ruff format .
	@$(PYTHON) -m ruff check --fix .

docs: setup ##: write the documents' tables anew from the code
	@$(PYTHON) -m local.documents

pictures: setup ##: take the dashboard's pictures anew; needs Chromium
	@$(PYTHON) -m local.pictures

stack: setup ##: Postgres and the Supabase API alone, in the background; writes .local/stack.env
	@bash local/start.sh stack up

stack-down: setup ##: stop them
	@$(PYTHON) -m local.stack down

exchange: setup ##: the simulated exchange alone; prints its address and both key pairs
	@bash local/start.sh exchange

model: setup ##: the scripted model alone; prints its address
	@bash local/start.sh model

stage: setup ## what is uploaded, function by function, in .local/stage/
	@$(PYTHON) -m local.deploy.stage

check-keys: setup ## whether the exchange keys are what they should be; reads deploy.env, places nothing
	@$(PYTHON) -m local.deploy.check_keys

clean: ## remove everything that set-up and runs made, the database of make serve too
	@if [ -x $(PYTHON) ]; then $(PYTHON) -m local.stack down --all; fi
	@rm -rf .venv node_modules bench/rivals/node_modules .local 2>/dev/null || { echo "Some files belong to another user: remove .venv, node_modules and .local as that user." >&2; exit 1; }
