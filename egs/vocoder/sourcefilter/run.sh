#!/bin/sh
# The light source-filter vocoder, from recordings to a vocoder. README.md beside this file shows the way; --help lists the flags.
# shellcheck disable=SC2034  # vocoder.sh reads these variables
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/../../.." && pwd)
recipe=egs/vocoder/sourcefilter
features=data/sourcefilter

. "$root/egs/_shared/vocoder.sh"
