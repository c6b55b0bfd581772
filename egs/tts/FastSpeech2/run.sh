#!/bin/sh
# FastSpeech2, from an LJSpeech-layout corpus to speech. README.md beside this file tells the way; --help lists the flags.
# shellcheck disable=SC2154  # options.sh sets a variable for each flag
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/../../.." && pwd)
default_config=egs/tts/FastSpeech2/exp_config.json
stages="1 2 3"
usage="Usage: sh egs/tts/FastSpeech2/run.sh --stage STAGE [flags]

  --stage 1                 features: from the corpus to data/
  --stage 2 --name NAME     training: from data/ to ckpts/tts/NAME
  --stage 3 ...             speech: from ckpts/tts/NAME to wav files
      --infer_expt_dir DIR --infer_mode single with --infer_text TEXT or --infer_file FILE
      --infer_expt_dir DIR --infer_mode batch with --infer_dataset and --infer_testing_set, or --infer_file FILE"
recipe_options="infer_expt_dir||DIR||none|the experiment, or one checkpoint in it, to speak with
infer_output_dir||DIR||the folder result in the experiment|where the wav files go
infer_mode||MODE||none|single: one text; batch: a part of the data set, or a file of texts
infer_text||TEXT||none|the text to speak (single)
infer_file||FILE||none|texts to speak, a line each: TEXT, or ID|TEXT
infer_dataset||NAME||none|the data set to speak from (batch)
infer_testing_set||NAME||none|which part of it: test, golden_test, valid or train (batch)
infer_speaker_name||NAME||none; needed for a model with several, but in batch from a data set|the voice of a model with several
vocoder_dir||DIR||Griffin-Lim, without a network|the vocoder that makes the sound
pitch_control||FACTOR|1.0||scales the pitch
energy_control||FACTOR|1.0||scales the energy
duration_control||FACTOR|1.0||scales the durations: 2.0 is half as fast"

. "$root/egs/_shared/options.sh"
. "$root/egs/_shared/launch.sh"

# What the stages need is checked before the first one starts.
for step in $plan; do
    case $step in
        2)
            needs 2 name
            [ -z "$resume_from_ckpt_path" ] || [ -d "$resume_from_ckpt_path" ] ||
                die "--resume_from_ckpt_path: there is no folder $resume_from_ckpt_path"
            ;;
        3)
            needs 3 infer_expt_dir
            needs 3 infer_mode
            case $infer_mode in
                single)
                    [ -n "$infer_text$infer_file" ] || die "stage 3, single, needs --infer_text or --infer_file"
                    ;;
                batch)
                    [ -z "$infer_text" ] || die "--infer_text is for --infer_mode single"
                    if [ -z "$infer_file" ]; then
                        needs "3, batch, without --infer_file" infer_dataset
                        needs "3, batch, without --infer_file" infer_testing_set
                    fi
                    ;;
                *) die "--infer_mode is single or batch, not '$infer_mode'" ;;
            esac
            [ -z "$infer_text" ] || [ -z "$infer_file" ] || die "--infer_text and --infer_file exclude each other"
            ;;
    esac
done

stage_1() {
    [ -z "$num_workers" ] || set -- "$@" --num_workers="$num_workers"
    "$python" bins/preprocess.py --config="$config" "$@" || return
    [ "$stop_stage" != 1 ] || print_next --stage 2 --name "${name:-my-voice}" "$@"
}

stage_2() {
    find_log_dir "$@" || return
    choose_gpus
    [ -z "$num_workers" ] || set -- "$@" --num_workers="$num_workers"
    [ -z "$resume" ] || set -- "$@" --resume
    [ -z "$resume_from_ckpt_path" ] || set -- "$@" --resume_from_ckpt_path="$resume_from_ckpt_path"
    launch bins/train.py --config="$config" --exp_name="$name" "$@" || return
    [ "$stop_stage" != 2 ] || print_next --stage 3 --infer_expt_dir "$log_dir/$name" \
        --infer_output_dir "$log_dir/$name/result" --infer_mode single \
        --infer_text "This is a clip of generated speech with the given text from a TTS model." \
        ${vocoder_dir:+--vocoder_dir "$vocoder_dir"}
}

stage_3() {
    choose_gpus
    [ "$gpu_count" -lt 2 ] || gpu_count=1 # one process; it takes the first of them
    for flag in infer_expt_dir infer_output_dir infer_mode infer_text infer_file infer_dataset infer_testing_set \
        infer_speaker_name vocoder_dir pitch_control energy_control duration_control; do
        eval "value=\$$flag"
        [ -z "$value" ] || set -- "$@" "--$flag=$value"
    done
    launch bins/inference.py --config="$config" "$@"
}

run_plan "$@"
