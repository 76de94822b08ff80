# Two commands: `make run` serves, `make test` tests. Both need Python 3.11 or later and nothing else.
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
export UV_COMPILE_BYTECODE := 1
export UV_PROJECT_ENVIRONMENT := $(VENV)
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run test check lock clean

run: $(VENV)/.ready
	@exec $(BIN)/milepost serve

test: $(VENV)/.ready
	@$(BIN)/python -m pytest -n auto --dist loadfile $(ARGS)

check:
	@bash .ci/run

lock:
	uv lock --upgrade
	uv export --quiet --no-emit-project --no-header --all-extras --output-file requirements.lock

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache

$(VENV)/.ready: requirements.lock pyproject.toml
	@if command -v uv >/dev/null; then \
		test -d $(VENV) || uv venv --quiet --python $(PYTHON) $(VENV); \
		UV=uv; \
	else \
		test -d $(VENV) || $(PYTHON) -m venv $(VENV); \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check uv; \
		UV=$(BIN)/uv; \
	fi; \
	export VIRTUAL_ENV=$(VENV); \
	$$UV pip sync --quiet --require-hashes requirements.lock && \
	$$UV pip install --quiet --no-deps --editable .
	@touch $@
