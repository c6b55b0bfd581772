# Starts the programs in bins/ for every run.sh: with which interpreter, on which GPUs. Sourced after options.sh.
# shellcheck shell=sh disable=SC2154

# The repository's own environment, if it has one.
if [ -x .venv/bin/python ]; then
    python=.venv/bin/python
else
    python=${PYTHON:-python3}
fi
command -v "$python" >/dev/null 2>&1 || die "no Python: '$python' cannot be run; type: make setup"

# Settles, once, the GPUs to run on: exports CUDA_VISIBLE_DEVICES and sets gpu_count. Says so where there is none.
gpu_count=
choose_gpus() {
    [ -z "$gpu_count" ] || return 0
    gpu_names=$(nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null) || gpu_names=
    if [ -z "$gpu_names" ]; then
        echo "No NVIDIA GPU found: running on the CPU."
        export CUDA_VISIBLE_DEVICES=
        gpu_count=0
        return 0
    fi
    present=$(printf '%s\n' "$gpu_names" | wc -l)
    gpus=$(printf '%s' "${gpu:-${CUDA_VISIBLE_DEVICES-0}}" | tr -d ' ')
    if [ -z "$gpus" ]; then
        echo "CUDA_VISIBLE_DEVICES is empty: running on the CPU."
        gpu_count=0
        return 0
    fi
    gpu_count=0
    rest=$gpus,
    while [ -n "$rest" ]; do
        one=${rest%%,*}
        rest=${rest#*,}
        gpu_count=$((gpu_count + 1))
        case $one in
            GPU-* | MIG-*) ;; # a card, or a part of one, by its UUID
            '' | *[!0-9]*) die "--gpu is a list of numbers such as 0,1, not '$gpus'" ;;
            *) [ "$one" -lt "$present" ] || die "--gpu $one: this machine has $((present)) GPU(s), numbered from 0" ;;
        esac
    done
    export CUDA_VISIBLE_DEVICES="$gpus"
    case $gpu_names in
        *"RTX 3090"* | *"RTX 40"*) # their drivers offer direct transfers that these cards do not have: NCCL hangs
            export NCCL_P2P_DISABLE="${NCCL_P2P_DISABLE-1}" NCCL_IB_DISABLE="${NCCL_IB_DISABLE-1}"
            ;;
    esac
}

# Settles where experiments go: sets log_dir, as it can be typed in a flag. Takes the --set flags.
find_log_dir() {
    log_dir=$("$python" -m config.load --config="$config" --get=log_dir "$@") || return
    case $caller_dir:$log_dir in
        "$root":* | *:/*) ;;
        *) log_dir=$root/$log_dir ;; # a relative path in a flag starts where the user stands
    esac
}

# Runs a program of bins/ with its arguments, one process for each GPU.
launch() {
    program=$1
    shift
    if [ "$gpu_count" -gt 1 ]; then
        "$python" -m accelerate.commands.launch --multi_gpu --num_processes "$gpu_count" --num_machines 1 --machine_rank 0 --gpu_ids all \
            --mixed_precision no --dynamo_backend no --main_process_port 0 "$program" "$@"
    else
        "$python" "$program" "$@"
    fi
}

# Runs the plan: the function stage_N with the --set flags for every stage N in it. A stage that fails ends the run.
run_plan() {
    for step in $plan; do
        [ "$stage" = "$stop_stage" ] || printf '\n=== Stage %s\n' "$step"
        "stage_$step" "$@" || {
            status=$?
            [ "$step" = "$stop_stage" ] || echo "Stage $step failed: the stages after it were not started." >&2
            exit "$status"
        }
    done
}

# Prints a word so that a shell reads it back unchanged.
quoted() {
    case $1 in
        '' | *[!A-Za-z0-9_./:,=+@%-]*)
            printf "'"
            printf '%s' "$1" | sed "s/'/'\\\\''/g"
            printf "'"
            ;;
        *) printf '%s' "$1" ;;
    esac
}

# Prints the command to type next: this recipe with the given words, and with what every stage of the run shares.
print_next() {
    next="sh $(quoted "$0")"
    [ "$config" = "$default_config" ] || set -- "$@" --config "$config"
    [ -z "$gpu" ] || set -- "$@" --gpu "$gpu"
    for word in "$@"; do
        next="$next $(quoted "$word")"
    done
    printf '\nNext, type:\n    %s\n' "$next"
}
