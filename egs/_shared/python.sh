# Finds the interpreter for the scripts in egs/, which read this file after they set $root: the repository's own, or else $PYTHON.
# shellcheck shell=sh disable=SC2154,SC2034
if [ -x "$root/.venv/bin/python" ]; then python=$root/.venv/bin/python; else python=${PYTHON:-python3}; fi
command -v "$python" >/dev/null 2>&1 || {
    echo "${0##*/}: no Python: '$python' cannot be run; type: make setup" >&2
    exit 2
}
