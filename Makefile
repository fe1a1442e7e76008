# `make demo` and `make test` need python3 (3.10 or newer), git and make, and nothing else.
PYTHON ?= python3
PY = .venv/bin/python

.PHONY: demo test lint clean
demo: .venv/ready
	.venv/bin/aligner demo --out demo

test: .venv/ready
	$(PY) -m pytest -q --cov=mas --cov=aligner --cov-report=term $(PYTEST_ARGS)

lint: .venv/ready
	.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(PY) -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[espeak,dev]'
	touch $@

clean:
	rm -rf .venv demo build dist
