# Two commands: `make run` serves, `make test` tests. Both need Python 3.11 or later and nothing else.
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
export UV_COMPILE_BYTECODE := 1
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run test check docs lock clean

run: $(VENV)/.ready
	@exec $(BIN)/milepost serve

test: $(VENV)/.ready
	@exec $(BIN)/python -m pytest -n auto --dist loadfile $(ARGS)

check:
	@exec bash .ci/run

docs: $(VENV)/.ready
	@$(BIN)/python -m tests.docs.generate
	@$(BIN)/milepost openapi > docs/openapi.json

lock:
	uv lock --upgrade
	uv export --quiet --no-emit-project --no-header --all-extras --output-file requirements.lock

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache

$(VENV)/.ready: requirements.lock pyproject.toml
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
	$$UV pip sync --quiet --require-hashes requirements.lock && \
	$$UV pip install --quiet --no-deps --editable .
	@touch $@
