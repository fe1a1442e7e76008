# `make demo` and `make test` need python3 (3.11 or newer, with venv), git and make, and nothing else.
PYTHON ?= python3
PY = .venv/bin/python

.PHONY: demo test coverage lint docs wheel clean
demo: .venv/ready
	.venv/bin/aligner demo --out demo

test: .venv/ready
	OMP_NUM_THREADS=1 $(PY) -m pytest -q -n auto --maxprocesses 4 --dist worksteal $(PYTEST_ARGS)

coverage: PYTEST_ARGS += --cov=mas --cov=aligner --cov-report=term
coverage: test  # takes half as long again

lint: .venv/ready
	.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy

# Every public name, from its docstring: docs/index.html.
API = mas mas.compat aligner.aligner aligner.alignment aligner.text.transcript aligner.frontends \
  aligner.encoders aligner.training aligner.formats aligner.evaluate
docs: .venv/ready
	.venv/bin/pdoc --docformat google -o docs $(API)

wheel: .venv/ready
	$(PY) -m build

.venv/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "This needs Python 3.11 or newer; name one: make PYTHON=/path/to/python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -m venv .venv || \
	  { echo "Python's venv is missing; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@echo "Installing PyTorch and the rest into .venv (5 GB, a few minutes, once)"
	@$(PY) -m pip install -q --disable-pip-version-check --use-pep517 -c constraints.txt -e '.[espeak,dev]'
	@touch $@

clean:
	rm -rf .venv demo docs build dist
