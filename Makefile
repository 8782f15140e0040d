# make book    install into .venv, execute every chapter, build the site   -> _build/html/index.html
# make test    the same set-up, then all tests
# make serve   serve the built site on this machine
# make chapter CH=autoencoders/linear   build one page, quickly
# make editions         the site for everyone, for students (no solutions) and for instructors -> _build/editions
# make notebooks        a notebook of every chapter       -> _build/notebooks
# make notebooks-full   the same, run from first to last cell in an environment like Colab's
# make assignment CHAPTER=vae/reparameterization   a chapter's exercises to hand out and to grade (ONLY="ex-a ex-b": of these)
# make population       train and measure again what the records of Part III are of; resumes (NAME=ablations: others)
# make bench   side-by-side timings
# make clean   remove what was built (make distclean: and .venv)

.DEFAULT_GOAL := book
SHELL := /bin/sh
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
PY := $(VENV)/bin/python
PORT ?= 8000
# Two processes: half of the tests wait for a browser or a kernel. The slow ones stand together; an idle process takes its share.
ARGS ?= -n 2 --dist worksteal
# The stamp's name carries a hash of what was installed: another requirements.txt, another stamp.
STAMP := $(VENV)/installed-$(shell cat requirements.txt code/pyproject.toml | cksum | tr -s ' \t' '-')
# Likewise for what only assignments need; on top of the above, so it is installed again after that.
TEACHING := $(VENV)/teaching-$(shell cat requirements.txt teaching/requirements.txt | cksum | tr -s ' \t' '-')

# One thread a process: numbers do not depend on how many cores there are, and a busy machine slows a build by no more
# than its share. Runs over several seeds take the other cores, a process each.
export OMP_NUM_THREADS ?= 1

.PHONY: setup book editions chapter serve browser sandbox check test notebooks notebooks-full assignment population bench clean distclean \
	data-check

setup: $(STAMP)

$(STAMP):
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed, and none was found (set PYTHON=...)."; exit 1; }
	@test -x $(PY) || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "No virtual environment could be made. On Debian: apt-get install python3-venv"; exit 1; }
	@echo "Installing what requirements.txt names into $(VENV) (once; some minutes) ..."
	@$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps -e code
	@rm -f $(VENV)/installed-*
	@touch $@

$(TEACHING): $(STAMP)
	@echo "Installing what teaching/requirements.txt names into $(VENV) (once) ..."
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps -r teaching/requirements.txt
	@rm -f $(VENV)/teaching-*
	@touch $@

book: $(STAMP)
	@$(PY) -m teaching build

# The cells of all editions are the same: the book executes them, and the others take their outputs.
editions: book
	@$(PY) -m teaching editions

chapter: $(STAMP)
	@test -n "$(CH)" || { echo "Say which: make chapter CH=autoencoders/linear"; exit 2; }
	@$(PY) -m teaching page $(CH)

serve: $(STAMP)
	@test -f _build/html/index.html || { echo "There is no site yet: make book"; exit 1; }
	@echo "http://127.0.0.1:$(PORT)/   (Ctrl-C ends it)"
	@$(PY) -m http.server $(PORT) --bind 127.0.0.1 --directory _build/html

# A browser for the browser tests: the system's, or else Debian's as root, or else playwright's own.
browser: $(STAMP)
	@sh tests/browser/install.sh $(PY)

# bubblewrap for the tests of the grader, from Debian.
sandbox:
	@sh tests/teaching/install.sh

check: $(STAMP)
	@$(PY) -m ruff format --check --quiet . && $(PY) -m ruff check --quiet . && $(PY) -m pyright

test: $(STAMP) $(TEACHING) browser sandbox book
	@$(PY) -m pytest tests $(ARGS)

notebooks: $(STAMP)
	@$(PY) -m teaching notebooks

notebooks-full: $(STAMP)
	@$(PY) -m teaching execute --full $(CH)

assignment: $(TEACHING)
	@test -n "$(CHAPTER)" || { echo "Say which: make assignment CHAPTER=vae/reparameterization"; exit 2; }
	@$(PY) -m teaching assignment $(CHAPTER) $(if $(ONLY),--only $(ONLY))

# Another version of the package starts anew; one that was stopped goes on. AE_JOBS says how many processes.
NAME ?= disentanglement
population: $(STAMP)
	@mkdir -p _build/populations
	@$(PY) -m autoencoders records $(NAME) --out _build/populations/$(NAME).jsonl --package

bench: $(STAMP)
	@for script in benchmarks/[a-z]*.py; do echo "== $$script"; PYTHONPATH=. $(PY) $$script || exit 1; done

clean:
	rm -rf _build .pytest_cache .ruff_cache .hypothesis code/build code/dist
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +

distclean: clean
	rm -rf $(VENV)

# The bundled data files, made again from the npm packages they came from, byte for byte.
data-check: $(STAMP)
	@$(PY) code/tools/make_digits.py --check
	@$(PY) code/tools/make_emoji.py --check
