# One virtual environment, made on first use. `make demo`, `make test`, `make check` work on a bare machine with
# Python 3.11 or newer, git and a package index.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
NODE := $(VENV)/node
LINTERS := src/sluicegate/evaluators/linters
export STYLE_NODE := $(abspath $(NODE))
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
STUDY ?= k8s-demo
RUNS ?= runs

.PHONY: demo test audit e2e check bench operating aa golden docs clean help
help: ## these lines
	@grep -hE '^[a-z0-9]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

# INCONCLUSIVE (15) and STOP (20) are answers, not failures.
demo: $(VENV)/.ready-run ## stages 0 to 3 of a study: verdicts, an HTML report, an MLflow store (STUDY=demo: Python functions)
	$(BIN)/sluicegate run --through 3 --study $(STUDY) --runs $(RUNS) || { code=$$?; test $$code = 15 || test $$code = 20 || exit $$code; }

test: $(VENV)/.ready-dev $(NODE)/.ready ## the whole test suite
	$(BIN)/python -m pytest -n auto --dist loadgroup

audit: $(VENV)/.ready-dev ## every sample of datasets/ against its tests, stubs and two mutants (some minutes)
	$(BIN)/sluicegate data audit --mutants 2

e2e: $(VENV)/.ready-dev ## what needs a Docker engine: images, programs in containers, the server, three hosts
	$(BIN)/python -m pytest -m docker -s tests/containers tests/hosts

check: $(VENV)/.ready-dev ## ruff, mypy --strict, import-linter floors
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.ready-dev ## ratios against the peers, measured side by side
	@for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

operating: $(VENV)/.ready-run ## how often the gate is wrong, simulated: docs/operating.* (some 10 minutes)
	$(BIN)/python scripts/operating.py

aa: $(VENV)/.ready-run ## whole A/A experiments with tiny models: no GO beyond chance
	$(BIN)/python scripts/aa_run.py

golden: $(VENV)/.ready-dev ## rewrite the golden files; review the diff
	SLUICEGATE_GOLDEN=write $(BIN)/python -m pytest -q -m golden

docs: $(VENV)/.ready-run ## rewrite the generated docs
	$(BIN)/python scripts/make_docs.py

$(VENV)/.ready-run: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(f"Python 3.11 or newer is wanted, this is {sys.version.split()[0]}: make PYTHON=python3.12 …" if sys.version_info < (3, 11) else 0)'
	@test -x $(BIN)/python || { echo "making $(VENV) (once, some minutes)"; $(PYTHON) -m venv $(VENV); }
	$(PIP) --editable '.[train,eval]'
	@touch $@

$(VENV)/.ready-dev: $(VENV)/.ready-run
	$(PIP) --editable '.[train,eval,dev]'
	@touch $@

$(NODE)/.ready: $(LINTERS)/package.json $(LINTERS)/package-lock.json
	@mkdir -p $(NODE) && cp $^ $(NODE)
	@if command -v npm >/dev/null; then npm ci --prefix $(NODE) --silent --ignore-scripts --no-audit --no-fund; \
	else echo "no npm: what needs ESLint is skipped"; fi
	@touch $@

clean: ## remove the virtual environment and caches; runs stay
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
