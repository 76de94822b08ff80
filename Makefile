# Two commands: `make run` serves, `make test` tests. Both need Python 3.11 or later and nothing else.
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
export UV_COMPILE_BYTECODE := 1
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help run test check docs web lock clean

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

web: ## Build the page anew, from web/; this alone needs Node
	@cd web && npm install --no-save --silent && npm run --silent types && npm run --silent build

lock: ## Look for newer dependencies, and lock them
	uv lock --upgrade
	uv export --quiet --no-emit-workspace --no-header --all-packages --all-extras --output-file requirements.lock

clean: ## Remove what was installed and built
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache

# What running needs: the dependencies of the two projects, in the versions and with the hashes of the lock, and then both
# from this checkout. That the one needs the other is left out before: it would be looked for among what is published.
$(VENV)/.ready: requirements.lock pyproject.toml milepost/pyproject.toml
	@echo 'Installing Milepost into $(VENV): some 15 seconds the first time'
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Milepost needs Python 3.11 or later: make PYTHON=python3.12 ...")'
	@if uv pip install --help 2>/dev/null | grep -q -e --excludes; then \
		UV=uv; \
		test -x $(BIN)/python || uv venv --quiet --clear --python $(PYTHON) $(VENV); \
	else \
		UV=$(BIN)/uv; \
		echo '  uv, which installs the rest'; \
		$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV); \
		test -x $$UV || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv; \
	fi && \
	export VIRTUAL_ENV=$(VENV) && \
	echo '  what it needs, by requirements.lock' && \
	echo milepost | $$UV pip install --quiet --require-hashes --constraints requirements.lock --excludes - \
		--requirements pyproject.toml --requirements milepost/pyproject.toml && \
	echo '  the service and the client, from this checkout' && \
	$$UV pip install --quiet --no-deps --editable ./milepost --editable .
	@touch $@

# What tests need besides.
$(VENV)/.dev: $(VENV)/.ready
	@echo 'Installing what tests need into $(VENV)'
	@UV=$$(test -x $(BIN)/uv && echo $(BIN)/uv || echo uv) && \
	export VIRTUAL_ENV=$(VENV) && \
	$$UV pip install --quiet --require-hashes --requirements requirements.lock
	@touch $@
