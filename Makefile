# One command per thing a reader wants; `make` alone lists them. Every target builds what it needs.
# Works with GNU make 3.81 (macOS) and newer. Paths are relative, so the checkout may lie anywhere.

## RECIPE   smoke | quick | fast | paper: how long each cell trains (default quick)
RECIPE ?= quick
## SEEDS    how many seeds a cell is run with (default 1, and of a study what its file says)
SEEDS ?= 1
## JOBS     how many cells run side by side, one thread each (default: one per core)
JOBS ?= $(shell nproc 2>/dev/null || sysctl -n hw.ncpu 2>/dev/null || echo 1)
## LAUNCHER joblib | submitit_slurm | submitit_local | ray: where the cells run (default joblib)
LAUNCHER ?= joblib
## LAUNCHER_ARGS more of the launcher's settings, such as hydra.launcher.partition=cpu
LAUNCHER_ARGS ?=
## RETRY    failed | diverged: run such cells again (default: leave them, and say so)
RETRY ?=
## COLUMNS  columns of the table or study to run, such as R,RTS (default: all of its file)
## LOGGER   wandb | csv; wandb stays offline unless you are logged in (default wandb)
LOGGER ?= wandb
## PORT     where the demo is served on this machine (default 8000)
PORT ?= 8000
## PYTHON   the Python, 3.11 to 3.13, that .venv is built from (default: the newest that works)
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	$$p -c '$(SUITABLE)' >/dev/null 2>&1 && echo $$p && break; done)
## PIP_ARGS more options for pip, such as --extra-index-url with an index of CPU-only torch wheels
PIP_ARGS ?=

# JOBS is for this machine alone: a cluster's own limits hold on a cluster.
JOBS_joblib := hydra.launcher.n_jobs=$(JOBS)
JOBS_submitit_local := hydra.sweeper.max_batch_size=$(JOBS)

# A terminal's width may be in the environment as COLUMNS: only one given to make is the table's,
# and the commands never see either, because they would take it for the width.
ONLY_COLUMNS := $(if $(filter command,$(firstword $(origin COLUMNS))),$(COLUMNS))
unexport COLUMNS

SEEDS_table := table.seeds=$(SEEDS)
SEEDS_study := $(if $(filter file,$(origin SEEDS)),,study.seeds=$(SEEDS))

# Tensors are small: a second thread waits for the first, and both for whatever else runs. Cells have
# trainer.threads of their own.
export OMP_NUM_THREADS := $(or $(OMP_NUM_THREADS),1)

SHELL := /bin/sh
.DEFAULT_GOAL := help

VENV := .venv
PY := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed
# Exists from the first to the last step of an installation, and becomes $(INSTALLED) at the end:
# where it is found, an installation was interrupted, and the environment is built again.
INSTALLING := $(VENV)/.installing

SUITABLE := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
# A whole environment: a suitable Python that imports the package from this very checkout.
INTACT := import importlib.util, os, sys; stn = importlib.util.find_spec("stn"); \
	sys.exit(not (stn and os.path.samefile(os.path.dirname(stn.origin), "src/stn")))
REBUILD := $(shell [ ! -e $(INSTALLING) ] && $(PY) -c '$(SUITABLE)' 2>/dev/null \
	&& $(PY) -c '$(INTACT)' 2>/dev/null || echo .new-environment)

.PHONY: help setup .new-environment test check docs fonts smoke reproduce-appendix studies report wandb-report demo bench clean

help: ## this list
	@echo 'Usage: make TARGET [VARIABLE=value ...]'
	@echo
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-27s %s\n", $$1, $$2}' Makefile
	@for table in $(TABLES); do printf '  %-27s %s\n' "reproduce-$$table" \
		"$$(sed -n 's/^title: //p' conf/table/$$table.yaml): run its missing cells and render it"; done
	@for study in $(STUDIES); do printf '  %-27s %s\n' "study-$$study" \
		"$$(sed -n 's/^title: //p' conf/study/$$study.yaml): the same of a study"; done
	@echo
	@awk '/^## / {sub(/^## /, "  "); print}' Makefile

setup: $(INSTALLED) ## build .venv with the pinned versions (every other target does so too)

$(INSTALLED): pyproject.toml constraints.txt $(REBUILD)
	@touch $(INSTALLING)
	@echo "Installing the versions of constraints.txt into $(VENV)."
	@$(PY) -m pip install -qq --disable-pip-version-check $(PIP_ARGS) \
		--constraint constraints.txt --editable '.[experiments,dev]' \
		|| { $(if $(REBUILD),,rm -f $(INSTALLING);) echo "pip failed, see above: fix that, then" \
		"call make again." >&2; exit 1; }
	@mv $(INSTALLING) $(INSTALLED)
	@echo "$(VENV) is ready."

.new-environment:
	@"$(PYTHON)" -c '$(SUITABLE)' 2>/dev/null || { echo \
	"No suitable Python$(if $(PYTHON),: '$(PYTHON)' does not serve). Needed is 3.11, 3.12 or 3.13 with" \
	"its venv module (Debian and Ubuntu: the package python3-venv). Install one, or name one:" \
	"make setup PYTHON=/path/to/python3.12" >&2; exit 1; }
	@echo "Building $(VENV) with $$("$(PYTHON)" --version): some GB, a few minutes on a fast line."
	@[ "$$(uname)" != Linux ] || [ -e /dev/nvidia0 ] || [ -n "$(PIP_ARGS)" ] || echo \
	"Most of it are CUDA libraries that torch brings on Linux, and this machine has no GPU: where" \
	"your index has CPU-only wheels, 'make setup PIP_ARGS=\"--extra-index-url ...\"' spares them."
	@rm -rf $(VENV) && mkdir $(VENV) && touch $(INSTALLING)
	@"$(PYTHON)" -m venv $(VENV)

test: $(INSTALLED) ## run the test suite
	$(PY) -m pytest -m "not integration" -n 2 --dist loadfile

check: $(INSTALLED) ## what CI runs: format, lint, types, then the test suite
	$(PY) -m ruff format --check
	$(PY) -m ruff check
	$(PY) -m mypy
	@$(MAKE) --no-print-directory test

# Fails at any warning, such as a link that leads nowhere; runs the notebooks as they stand.
docs: $(INSTALLED) ## build the documentation into build/site/index.html, every link checked
	$(PY) -m sphinx -W --keep-going -q -c docs . build/site
	@echo "open build/site/index.html"

TABLES := $(patsubst conf/table/%.yaml,%,$(wildcard conf/table/*.yaml))
STUDIES := $(patsubst conf/study/%.yaml,%,$(wildcard conf/study/*.yaml))

# Report and pictures show what there is, even after failed cells; make then fails as training did.
# $(1) is table or study.
define REPRODUCE
	@failed=0; \
	$(PY) -m stn.train -m +$(1)=$* recipe=$(RECIPE) $(SEEDS_$(1)) logger=$(LOGGER) \
		hydra/launcher=$(LAUNCHER) $(JOBS_$(LAUNCHER)) $(LAUNCHER_ARGS) \
		$(if $(RETRY),retry=$(RETRY)) \
		$(if $(ONLY_COLUMNS),'$(1).only=[$(ONLY_COLUMNS)]') || failed=$$?; \
	$(PY) -m stn.measure $(1)=$* recipe=$(RECIPE) $(SEEDS_$(1)) || failed=$$?; \
	$(PY) -m stn.report $(1)=$* recipe=$(RECIPE) $(SEEDS_$(1)) || failed=$$?; \
	$(PY) -m stn.pictures $(1)=$* recipe=$(RECIPE) || failed=$$?; \
	exit $$failed
endef

reproduce-%: conf/table/%.yaml $(INSTALLED) ## run the missing cells of a table and render it
	$(call REPRODUCE,table)

reproduce-appendix: ## its tables, one after the other: sums, co-localisation, volumes
	@$(foreach table,addition colocalisation volumes,$(MAKE) --no-print-directory reproduce-$(table) &&) true

study-%: conf/study/%.yaml $(INSTALLED) ## run the missing cells of a study and render it
	$(call REPRODUCE,study)

studies: ## all studies, one after the other: docs/studies.md
	@$(foreach study,$(STUDIES),$(MAKE) --no-print-directory study-$(study) &&) true

DATA = $(or $(STN_DATA_DIR),data)
FONTS := breip cabin cantarell comfortaa crosextra-carlito dejavu-core ebgaramond fanwood gfs-didot \
	goudybookletter inconsolata junicode lato league-spartan liberation linex linuxlibertine monofur \
	open-sans play prociono quicksand roboto-unhinted sil-gentium urw-base35 vollkorn

# Debian and Ubuntu have these; any folder of fonts in its place does.
fonts: ## fetch fonts into the data folder, for the house numbers of svhn_recomposed (apt-get, dpkg)
	@mkdir -p '$(DATA)/fonts/packages'
	@cd '$(DATA)/fonts/packages' && apt-get download -qq $(FONTS:%=fonts-%)
	@for package in '$(DATA)'/fonts/packages/*.deb; do dpkg -x "$$package" '$(DATA)/fonts'; done
	@rm -r '$(DATA)/fonts/packages'
	@echo "$$(find '$(DATA)/fonts' -name '*.[ot]tf' | wc -l) fonts are in $(DATA)/fonts."

smoke: ## Table 1 with seconds of training a cell: does everything run?
	@$(MAKE) --no-print-directory reproduce-table1 RECIPE=smoke

report: $(INSTALLED) ## reports/index.html: all tables and studies, from the runs there are; trains nothing
	@$(PY) -m stn.page

demo: $(INSTALLED) ## a page to drag digits and see what a transformer does: reports/demo, then served
	@$(PY) -m stn.demo
	@$(PY) -m http.server --bind 127.0.0.1 --directory reports/demo $(PORT)

wandb-report: $(INSTALLED) ## lay out a report of the runs that are in Weights & Biases (needs a login)
	@$(PY) -m stn.wandb_report recipe=$(RECIPE)

bench: $(INSTALLED) ## measure speed against targets and other libraries: reports/bench.md
	$(PY) -m benchmarks

clean: ## remove reports and build products; runs/, data/ and .venv stay
	rm -rf reports build dist .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find src tests benchmarks -name __pycache__ -prune -exec rm -rf {} +
