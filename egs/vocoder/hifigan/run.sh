#!/bin/sh
# Usage: sh egs/vocoder/hifigan/run.sh --stage STAGE [flags]
#
#   --stage 1                 audio: from recordings, which need no texts, to data/vocoder/
#   --stage 2 --name NAME     training: from data/vocoder/ to ckpts/vocoder/NAME
#   --stage 3 ...             listening: wav files to mels and back, with ckpts/vocoder/NAME
#       --infer_expt_dir DIR --infer_mode folder with --infer_dir DIR
#       --infer_expt_dir DIR --infer_mode batch with --infer_dataset and --infer_testing_set
#   --stage finetune ...      training on what an acoustic model makes of the recordings, to ckpts/vocoder/NAME
#       --acoustic_dir DIR --resume_from_ckpt_path DIR --name NAME
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/../../.." && pwd)
. "$root/egs/_shared/python.sh"
exec "$python" "$root/bins/recipe/run.py" vocoder "$0" "$@"
