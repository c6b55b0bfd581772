#!/bin/sh
# Usage: sh egs/tts/FastSpeech2/run.sh --stage STAGE [flags]
#
#   --stage 1                 features: from the corpus to data/
#   --stage 2 --name NAME     training: from data/ to ckpts/tts/NAME
#   --stage 3 ...             speech: from ckpts/tts/NAME to wav files
#       --infer_expt_dir DIR --infer_mode single with --infer_text TEXT or --infer_file FILE
#       --infer_expt_dir DIR --infer_mode batch with --infer_dataset and --infer_testing_set, or --infer_file FILE
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/../../.." && pwd)
. "$root/egs/_shared/python.sh"
exec "$python" "$root/bins/recipe/run.py" voice "$0" "$@"
