# Two commands: `make run` serves, `make test` tests. Both need Python 3.11 or later and nothing else.
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
export UV_COMPILE_BYTECODE := 1
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help run test check docs lock clean

help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-6s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

run: $(VENV)/.ready ## Install what running needs, and serve on http://127.0.0.1:8000
	@exec $(BIN)/milepost serve

test: $(VENV)/.dev ## Run the tests; ARGS goes to pytest
	@exec $(BIN)/python -m pytest -n auto --dist loadfile $(ARGS)

check: ## Run the gate: lint, types, migrations, documents, all tests
	@exec bash .ci/run

docs: $(VENV)/.dev ## Write the generated parts of the documentation anew
	@$(BIN)/python -m tests.docs.generate
	@$(BIN)/milepost openapi > docs/openapi.json

lock: ## Look for newer dependencies, and lock them
	uv lock --upgrade
	uv export --quiet --no-emit-project --no-header --all-extras --output-file requirements.lock

clean: ## Remove what was installed and built
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache

# What running needs: the dependencies of the project, in the versions and with the hashes of the lock.
$(VENV)/.ready: requirements.lock pyproject.toml
	@echo 'Installing Milepost into $(VENV): some 15 seconds the first time'
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Milepost needs Python 3.11 or later: make PYTHON=python3.12 ...")'
	@if command -v uv >/dev/null; then \
		UV=uv; \
		test -x $(BIN)/python || uv venv --quiet --clear --python $(PYTHON) $(VENV); \
	else \
		UV=$(BIN)/uv; \
		$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV); \
		test -x $$UV || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv; \
	fi && \
	export VIRTUAL_ENV=$(VENV) && \
	$$UV pip install --quiet --require-hashes --constraints requirements.lock --requirements pyproject.toml && \
	$$UV pip install --quiet --no-deps --editable .
	@touch $@

# What tests need besides.
$(VENV)/.dev: $(VENV)/.ready
	@echo 'Installing what tests need into $(VENV)'
	@UV=$$(command -v uv || echo $(BIN)/uv) && \
	export VIRTUAL_ENV=$(VENV) && \
	$$UV pip install --quiet --require-hashes --requirements requirements.lock
	@touch $@
