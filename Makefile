# Every target sets up what it needs. `make` alone lists them.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
STAMP := $(VENV)/.installed
STUDIO := $(RUN) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[studio]'
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help install train test test-slow test-browser lint format typecheck sweep search dashboard studio tensorboard benchmark reproduce docs clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:[^#]*## /\t/' | awk -F '\t' '{printf "  make %-12s %s\n", $$1, $$2}'
	@echo '  ARGS="model=nn seed=1" adds overrides to train and sweep'

install: $(STAMP) ## Build the environment in .venv (downloads about 3 GB, takes some minutes)

$(STAMP): pyproject.toml sweeper/pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: $(PYTHON) is older than Python 3.11: choose a newer one, such as make PYTHON=python3.12"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	$(RUN) -m pip install --progress-bar on --constraint constraints.txt --editable sweeper --editable . --group dev
	@touch $@

train: $(STAMP) ## Train and test the compact CNN on MNIST (a minute or two)
	@$(RUN) train.py $(ARGS)

test: $(STAMP) ## Run the fast tests (one to two minutes)
	@$(RUN) -m pytest -q -n 2 --dist worksteal -m "not slow and not gpu and not browser"

test-slow: $(STAMP) ## Run the tests that train, kill, resume, and install the wheel (some minutes)
	@$(RUN) -m pytest -q -m "slow and not gpu and not browser"

test-browser: $(STAMP) ## Drive the studio in headless Chromium (some minutes; needs the program chromium)
	@$(STUDIO) --group browser
	@$(RUN) -m pytest -q tests/studio/test_browser.py tests/studio/test_page.py tests/studio/test_proxy.py tests/studio/test_server.py tests/studio/test_sessions.py tests/deploy/test_page.py tests/web/verify/test_browser.py

lint: $(STAMP) ## Check style, and that each room imports only rooms below it
	@$(RUN) -m ruff check . && $(RUN) -m ruff format --check . && $(VENV)/bin/lint-imports --no-cache

format: $(STAMP) ## Fix style
	@$(RUN) -m ruff check --fix . ; $(RUN) -m ruff format .

typecheck: $(STAMP) ## Check types
	@$(RUN) -m mypy

search: $(STAMP) ## Search for better settings of the compact CNN (some minutes)
	@$(RUN) train.py -m hparams_search=tpe model=cnn $(ARGS)

dashboard: $(STAMP) ## Open a dashboard of a search, even while it runs: make dashboard SWEEP=outputs/sweeps/NAME
	@test -n "$(SWEEP)" || { echo "error: choose a search: make dashboard SWEEP=outputs/sweeps/NAME"; exit 2; }
	@$(RUN) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dashboard]'
	@$(VENV)/bin/ziffern sweep dashboard $(SWEEP)

studio: $(STAMP) ## Open the page for people who do not program
	@$(STUDIO)
	@$(VENV)/bin/ziffern studio $(ARGS)

sweep: $(STAMP) ## Train the three models and compare them
	@$(RUN) train.py -m model=cnn,nn,dnn $(ARGS)

tensorboard: $(STAMP) ## Show all runs in TensorBoard
	@$(VENV)/bin/tensorboard --logdir outputs

benchmark: $(STAMP) ## Compare training speed with a bare loop and the usual recipe (ten minutes)
	@$(RUN) scripts/benchmark.py $(ARGS)
	@$(RUN) scripts/benchmark_sweeper.py

reproduce: $(STAMP) ## Train the published recipes over several seeds (ten minutes without the an2020 ones)
	@$(RUN) scripts/reproduce.py $(ARGS)

docs: $(STAMP) ## Build the documentation into site/ (open site/index.html)
	@$(RUN) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --group docs
	@NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict

clean: ## Remove caches and builds; keeps .venv, data and outputs
	rm -rf build dist site .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find src sweeper tests scripts -name __pycache__ -prune -exec rm -rf {} +
