# `make help` says what there is.
PYTHON ?= python3
VENV := .venv/bin

.DEFAULT_GOAL := help

.PHONY: help
help: ## Show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: up
up: runtime ## Run the whole system here until Ctrl-C
	@$(VENV)/python -m tools.up

.PHONY: down
down: install ## Stop what `make up` started
	@$(VENV)/python -m tools.down

.PHONY: test
test: runtime ## Run all tests, on systems and ports of their own
	@$(VENV)/python -m pytest

.PHONY: cluster-test
cluster-test: install ## Test the chart on the cluster of KUBECONFIG, under load, in namespaces of its own
	@$(VENV)/python -m pytest tests/cluster -o faulthandler_timeout=1800

.PHONY: bench
bench: runtime ## Measure everything and write docs/performance.md (half an hour; SMOKE=1: two minutes)
	@$(VENV)/python -m benchmarks $(if $(SMOKE),--smoke)

.PHONY: faults
faults: runtime ## Break a system of its own in every way, and check that it kept its word
	@$(VENV)/python -m faults

.PHONY: check
check: install ## Check style, types and imports
	$(VENV)/ruff check .
	$(VENV)/ruff format --check .
	$(VENV)/mypy
	$(VENV)/lint-imports

.PHONY: format
format: install ## Put the code into the one format
	$(VENV)/ruff check --fix .
	$(VENV)/ruff format .

.PHONY: runtime
runtime: install ## Find or build Dapr and Redis, nothing else
	@$(VENV)/python -m tools.parts

.PHONY: install
install: .venv/installed .local/secrets.json ## Make the virtual environment, nothing else

.local/secrets.json:
	@$(PYTHON) tools/tokens.py

.venv/installed: requirements.txt $(wildcard libs/*/pyproject.toml services/*/pyproject.toml)
	@$(PYTHON) tools/environment.py

.PHONY: lock
lock: install ## Pin the newest packages that requirements.in allows
	$(VENV)/uv pip compile requirements.in --output-file requirements.txt \
		--generate-hashes --universal --python-version 3.11 --no-header --no-annotate --upgrade
