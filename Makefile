# Targets that people type; each sets up the virtual environment by itself:
#   make demo    speech from a small corpus made on the spot, in minutes, without a GPU
#   make test    every test
#   make say TEXT="Good morning."    speech from the voice in egs/voice, in the folder said
# Also: make lint (style and types), make setup (only the environment).
# PYTHON=python3.12 chooses another interpreter. UV_TORCH_BACKEND=cpu keeps CUDA's packages away where torch comes from the internet.

PYTHON ?= python3
export TEXT
VENV := .venv
EXTRAS := dev,demo,pitch
STAMP := $(VENV)/.lyre-installed

# Where Python may not keep what it compiled, every start compiles torch again: 10 seconds each.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test say lint setup

demo: setup
	@sh egs/demo/run.sh

say: setup
	@sh egs/say.sh "$$TEXT"

test: setup
	@$(VENV)/bin/python -m pytest

lint: setup
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy config text utils preprocessors processors modules models bins

setup: $(STAMP)

# The stamp is as new as the requirements it was installed from: a second run costs nothing.
# uv installs in seconds; it does not read pip's configuration, so where it fails pip gets its turn.
$(STAMP): pyproject.toml
	@command -v "$(PYTHON)" >/dev/null 2>&1 || \
		{ echo "$(PYTHON) is not installed; Lyre needs Python 3.10 or newer (or: make PYTHON=/path/to/python ...)" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "Lyre needs Python 3.10 or newer; $(PYTHON) is $$("$(PYTHON)" -V 2>&1) (make PYTHON=/path/to/python ...)" >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "$(PYTHON) has no venv module; on Debian and Ubuntu: sudo apt install python3-venv" >&2; exit 1; }
	@echo "Setting up $(VENV) (once, about a minute plus the download of torch)"
	@test -x $(VENV)/bin/python || "$(PYTHON)" -m venv $(VENV)
	@test -x $(VENV)/bin/uv || $(VENV)/bin/python -m pip install -q uv || echo "uv is not available; pip takes a little longer" >&2
	@{ test -x $(VENV)/bin/uv && \
		UV_FIND_LINKS="$${PIP_FIND_LINKS:-}" $(VENV)/bin/uv pip install -q --python $(VENV)/bin/python -e '.[$(EXTRAS)]'; } || \
		$(VENV)/bin/python -m pip install -q -e '.[$(EXTRAS)]'
	@touch $(STAMP)
