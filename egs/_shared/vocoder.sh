# The stages of every vocoder's run.sh, which sets root (the repository, absolute), recipe (its folder, from there) and
# features (where its configuration puts them), and sources this at the top level.
# shellcheck shell=sh disable=SC2154  # options.sh sets a variable for each flag

default_config=$recipe/exp_config.json
stages="1 2 3 finetune"
usage="Usage: sh $recipe/run.sh --stage STAGE [flags]

  --stage 1                 audio: from recordings, which need no texts, to $features/
  --stage 2 --name NAME     training: from $features/ to ckpts/vocoder/NAME
  --stage 3 ...             listening: wav files to mels and back, with ckpts/vocoder/NAME
      --infer_expt_dir DIR --infer_mode folder with --infer_dir DIR
      --infer_expt_dir DIR --infer_mode batch with --infer_dataset and --infer_testing_set
  --stage finetune ...      training on what an acoustic model makes of the recordings, to ckpts/vocoder/NAME
      --acoustic_dir DIR --resume_from_ckpt_path DIR --name NAME"
recipe_options="resume_type||TYPE|resume||resume: all of the checkpoint; finetune: only the weights, which may be a published vocoder's
acoustic_dir||DIR||none|the acoustic model's experiment (finetune)
acoustic_data_dir||DIR||data/ and the data set's name|the features that it was trained on (finetune)
infer_expt_dir||DIR||none|the vocoder: an experiment, one checkpoint in it, or a published folder
infer_output_dir||DIR||the folder result in the experiment|where the wav files go
infer_mode||MODE||none|folder: a folder of recordings or mels; batch: a part of the data set
infer_dir||DIR||none|recordings, or mels as .npy or .safetensors files (folder)
infer_dataset||NAME||none|the data set to take recordings from (batch)
infer_testing_set||NAME||none|which part of it: test, golden_test, valid or train (batch)"

. "$root/egs/_shared/options.sh"
. "$root/egs/_shared/launch.sh"

must_be_folder() {
    eval "value=\$$1"
    [ -z "$value" ] || [ -d "$value" ] || die "--$1: there is no folder $value"
}

[ "$stop_stage" != finetune ] || [ "$stage" = finetune ] ||
    die "stage finetune runs alone, with a --name of its own: --stage finetune"

# What the stages need is checked before the first one starts.
for step in $plan; do
    case $step in
        2)
            needs 2 name
            must_be_folder resume_from_ckpt_path
            case $resume_type in
                resume) ;;
                finetune) needs "2 with --resume_type finetune" resume_from_ckpt_path ;;
                *) die "--resume_type is resume or finetune, not '$resume_type'" ;;
            esac
            ;;
        3)
            needs 3 infer_expt_dir
            needs 3 infer_mode
            case $infer_mode in
                folder)
                    needs "3, folder," infer_dir
                    must_be_folder infer_dir
                    ;;
                batch)
                    needs "3, batch," infer_dataset
                    needs "3, batch," infer_testing_set
                    ;;
                *) die "--infer_mode is folder or batch, not '$infer_mode'" ;;
            esac
            ;;
        finetune)
            needs finetune name
            needs finetune acoustic_dir
            must_be_folder acoustic_dir
            must_be_folder acoustic_data_dir
            [ -n "$resume" ] || needs finetune resume_from_ckpt_path
            must_be_folder resume_from_ckpt_path
            ;;
    esac
done

stage_1() {
    [ -z "$num_workers" ] || set -- "$@" --num_workers="$num_workers"
    "$python" bins/preprocess.py --config="$config" "$@" || return
    [ "$stop_stage" != 1 ] || print_next --stage 2 --name "${name:-my-vocoder}" "$@"
}

# Trains with the flags that are given besides, and says how to listen to the vocoder.
train() {
    find_log_dir "$@" || return
    dataset=$("$python" -m config.load --config="$config" --get=dataset "$@") || return
    choose_gpus
    [ -z "$num_workers" ] || set -- "$@" --num_workers="$num_workers"
    [ -z "$resume" ] || set -- "$@" --resume
    if [ -n "$resume_from_ckpt_path" ]; then
        set -- "$@" --resume_from_ckpt_path="$resume_from_ckpt_path" --resume_type="$resume_type"
    fi
    [ "$step" != finetune ] || set -- "$@" --acoustic_dir="$acoustic_dir"
    launch bins/train.py --config="$config" --exp_name="$name" "$@" || return
    [ "$step" != 2 ] || [ "$stop_stage" != 2 ] || print_next --stage 3 --infer_expt_dir "$log_dir/$name" \
        --infer_output_dir "$log_dir/$name/result" --infer_mode batch --infer_dataset "$dataset" \
        --infer_testing_set golden_test
    [ "$step" != finetune ] || printf '\nThe voice of %s now speaks through it: --vocoder_dir %s\n' "$acoustic_dir" "$log_dir/$name"
}

stage_2() {
    train "$@"
}

stage_3() {
    choose_gpus
    [ "$gpu_count" -lt 2 ] || gpu_count=1 # one process; it takes the first of them
    for flag in infer_expt_dir infer_output_dir infer_mode infer_dir infer_dataset infer_testing_set; do
        eval "value=\$$flag"
        [ -z "$value" ] || set -- "$@" "--$flag=$value"
    done
    launch bins/vocode.py --config="$config" "$@"
}

stage_finetune() {
    choose_gpus
    "$python" bins/teacher_forced.py --config="$config" --acoustic_dir="$acoustic_dir" \
        ${acoustic_data_dir:+"--acoustic_data_dir=$acoustic_data_dir"} "$@" || return
    resume_type=finetune
    train "$@"
}

run_plan "$@"
