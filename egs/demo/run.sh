#!/bin/sh
# The whole way on a small corpus: makes it, takes the seed recipe through its three stages with a small model, and
# says where everything is. `make demo` sets the environment up and runs this. Flags go to the recipe: --gpu,
# --num_workers, --set. Finished work is not repeated: a second run resumes, or goes straight to the speech.
set -eu

case ${1-} in
    -h | --help)
        sed -n '/^# /s/^# //p' "$0" | head -n 3
        exit 0
        ;;
esac
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
cd "$root"
. egs/_shared/python.sh
recipe=egs/tts/FastSpeech2/run.sh
config=egs/demo/fastspeech2.json
corpus=egs/demo/corpus       # as the configuration has it: dataset_path.demo
features=data/demo           # processed_dir
experiment=ckpts/tts/demo    # log_dir
origin=$experiment.made_from # which configuration and corpus the experiment is of
vocoder=egs/voice/vocoder    # its voice is the demo's
spoken=$experiment/spoken    # the demo's own, replaced each time

new_sentence="The young singer waited quietly for the bus near the old bridge."

say() {
    printf '\n=== %s\n' "$1"
}

say "The corpus: $corpus"
"$python" egs/demo/make_corpus.py --out "$corpus"

made_from=$(cat "$config" config/fs2.json "$corpus/corpus.json" | cksum)
resume=
if [ -d "$experiment" ]; then
    if [ "$(cat "$origin" 2>/dev/null)" = "$made_from" ]; then
        resume=--resume
    else
        aside=$experiment-until-$(date +%Y%m%d-%H%M%S)
        echo "$experiment is of another configuration or corpus: it is kept as $aside"
        mv "$experiment" "$aside"
    fi
fi
mkdir -p "${experiment%/*}"
printf '%s\n' "$made_from" >"$origin"
rm -rf "$spoken"

sh "$recipe" --stage 1 --stop_stage 3 --config "$config" --name demo ${resume:+"$resume"} \
    --infer_expt_dir "$experiment" --infer_output_dir "$spoken" --infer_mode single --infer_text "$new_sentence" \
    --vocoder_dir "$vocoder" "$@"

say "Three sentences of the training, spoken"
# ID|TEXT of the first three utterances; the demo's sentences hold nothing that JSON escapes.
sed -n 's/.*"utt_id": "\([^"]*\)".*"text": "\([^"]*\)".*/\1|\2/p' "$features/train.jsonl" | head -n 3 \
    >"$experiment/training_sentences.txt"
sh "$recipe" --stage 3 --config "$config" --infer_expt_dir "$experiment" --infer_output_dir "$spoken/training" \
    --infer_mode batch --infer_file "$experiment/training_sentences.txt" --vocoder_dir "$vocoder" "$@"

say "Done"
echo "A sentence that the model never saw, and its mel spectrogram:"
find "$spoken" -maxdepth 1 \( -name '*.wav' -o -name '*.png' \) | sort -r | sed 's/^/    /'
echo "Three sentences that it was trained on:"
find "$spoken/training" -maxdepth 1 -name '*.wav' | sort | sed 's/^/    /'
echo "The training's curves, pictures and sounds:"
echo "    .venv/bin/tensorboard --logdir $experiment/log"
echo "Speak a sentence of your own:"
echo "    sh $recipe --stage 3 --infer_expt_dir $experiment --vocoder_dir $vocoder --infer_mode single --infer_text \"Good morning.\""
