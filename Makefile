# `make help` says what there is.
PYTHON ?= python3
VENV := .venv/bin
COMPILE := $(VENV)/uv pip compile --generate-hashes --universal --python-version 3.11 \
	--no-header --no-annotate
IMAGE_TAG ?= $(shell awk '$$1 == "appVersion:" {gsub("\"", "", $$2); print $$2}' helm/Chart.yaml)
DOCKER_BUILD ?= docker build
CYCLONEDX := cyclonedx-bom==7.5.0

.DEFAULT_GOAL := help

.PHONY: help
help: ## Show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: up
up: runtime ## Run the whole system here until Ctrl-C
	@$(VENV)/python -m tools.up

.PHONY: down
down: install ## Stop what `make up` started
	@$(VENV)/python -m tools.down

.PHONY: test
test: runtime ## Run all tests, on systems and ports of their own
	@$(VENV)/python -m tools.parts test
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
check: install ## Check style, types, imports and the chart
	$(VENV)/ruff check .
	$(VENV)/ruff format --check .
	$(VENV)/mypy
	$(VENV)/lint-imports
	$(VENV)/python -m tools.chart_checks

.PHONY: check-chart
check-chart: install ## Check the Helm chart, without a cluster
	@$(VENV)/python -m tools.chart_checks

.PHONY: format
format: install ## Put the code into the one format
	$(VENV)/ruff check --fix .
	$(VENV)/ruff format .

.PHONY: images
images: ## Build both services' images, and list what is in them (DOCKER_BUILD="docker build …")
	@for service in task-api notification-service; do \
		$(DOCKER_BUILD) --file services/$$service/Dockerfile --tag $$service:$(IMAGE_TAG) \
			--build-arg VERSION=$(IMAGE_TAG) --build-arg REVISION="$$(git rev-parse HEAD)" . || exit; \
	done
	@$(MAKE) --no-print-directory sbom

.PHONY: sbom
sbom: install ## Write the bill of materials of the images' packages to .local/sbom.cdx.json
	@$(VENV)/uv tool run --quiet --from $(CYCLONEDX) cyclonedx-py requirements \
		services/requirements.txt --output-reproducible --output-file .local/sbom.cdx.json
	@echo "The packages in the images: .local/sbom.cdx.json"

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
	$(COMPILE) requirements.in --output-file requirements.txt --upgrade
	$(COMPILE) services/requirements.in --output-file services/requirements.txt \
		--constraint requirements.txt
