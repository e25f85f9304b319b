# `make book` builds the website and the PDF, `make test` runs every check.
# Needed: Python 3.11 to 3.14 with its venv module, and make. All else goes into .venv.

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
READY := $(VENV)/.ready
SPARK := $(VENV)/.spark
PIP := $(RUN) -m pip install --quiet --disable-pip-version-check --no-deps
# A quarter of pip's time; where an index or a proxy is set for pip alone, pip steps in.
UV := $(RUN) -m uv pip install --quiet --python $(RUN) --no-deps --compile-bytecode
LOCK := --universal --prerelease disallow --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-annotate --no-header --upgrade

.PHONY: help book preview notebooks data test lock clean
.DEFAULT_GOAL := help

help:  ## Say what can be made
	@grep -hE '^[a-z]+:.*## ' Makefile | sed -E 's/^([a-z]+):.*## /make \1|/' | column -t -s '|'

$(READY): requirements-uv.lock requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' || \
	  { echo "Python 3.11 to 3.14 is needed; $(PYTHON) is $$($(PYTHON) --version). Try: make PYTHON=python3.12"; exit 1; }
	@echo "Setting up $(VENV) (half a minute, once)"
	@test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	@$(PIP) --require-hashes -r requirements-uv.lock
	@$(UV) --require-hashes -r requirements.lock || $(PIP) --require-hashes -r requirements.lock
	@$(PIP) --no-build-isolation --editable .
	@touch $@

# Spark comes as source, of which uv makes a wheel: not compressed, since it is read once.
$(SPARK): requirements-spark.lock $(READY)
	@if command -v java >/dev/null; then \
	  echo "Adding Spark to $(VENV) (half a gigabyte, once)" && \
	  { $(UV) --no-build-isolation -C=--build-option=--compression=stored --require-hashes -r $< || \
	    $(PIP) --no-build-isolation --require-hashes -r $<; } && touch $@; \
	else echo "No java on the PATH: the tests on Spark will be skipped"; fi

book: $(READY)  ## Build website and PDF into _book/ (ENGINE=quarto|embedded forces a renderer)
	@$(RUN) -m render book

preview: book  ## Build the book and serve it at http://localhost:8000; `make book` elsewhere updates it
	@$(RUN) -m http.server --directory _book --bind 127.0.0.1 8000

notebooks: $(READY)  ## Write each chapter, executed, to notebooks/
	@$(RUN) -m render notebooks

data: $(READY)  ## Write the shipped tables anew (the same bytes)
	@studies=$$($(RUN) -c 'from analysis.contracts import CONTRACTS; print(*CONTRACTS)') && \
	for study in $$studies; do $(RUN) -m analysis simulate $$study --out data || exit 1; done

# One thread a worker for linear algebra: two workers of two threads wait for each other.
# Hundreds of processes import the same modules, so those are compiled once even where the
# environment asks Python to write no compiled files.
# The front page's notebook has no output for nbval to compare, and runs every study.
test: $(READY) $(SPARK)  ## Run every check: unit tests, the notebooks (nbval), the whole book
	@env -u BOOK_DATA -u PYTHONDONTWRITEBYTECODE OPENBLAS_NUM_THREADS=1 $(RUN) -m pytest \
	  -n logical --dist loadfile --no-loadscope-reorder \
	  tests notebooks --nbval --nbval-sanitize-with notebooks/nbval.cfg \
	  --ignore notebooks/index.ipynb

lock: $(READY)  ## Bring the lock files up to date
	$(RUN) -m uv pip compile pyproject.toml --extra test $(LOCK) --output-file requirements.lock
	$(RUN) -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies']['spark'])" | \
	  $(RUN) -m uv pip compile - $(LOCK) --output-file requirements-spark.lock
	echo uv | $(RUN) -m uv pip compile - $(LOCK) --output-file requirements-uv.lock

clean:  ## Remove what was built; the environment stays
	rm -rf _book _freeze .book .quarto
