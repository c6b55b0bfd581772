#!/bin/sh
# Speaks with the voice in egs/voice: sh egs/say.sh "Good morning." The wav goes to the folder `said` in the current folder.
set -eu

case ${1-} in
    '' | -h | --help)
        echo 'Usage: sh egs/say.sh "A sentence, or a whole text."   (or: make say TEXT="...")' >&2
        [ -n "${1-}" ] && exit 0 || exit 2
        ;;
esac
here=$PWD
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
. "$root/egs/_shared/python.sh"
cd "$root"
exec "$python" bins/inference.py --infer_expt_dir egs/voice/fastspeech2 --vocoder_dir egs/voice/vocoder \
    --infer_mode single --infer_text "$*" --infer_output_dir "$here/said"
