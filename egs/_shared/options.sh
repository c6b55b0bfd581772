# The command line of every run.sh, in POSIX sh. To be sourced at the top level, where "$@" is the recipe's own.
#
# The recipe sets first:
#   root            the repository, absolute
#   usage           what --help prints above the flags
#   stages          its stages in order, such as "1 2 3"
#   default_config  its exp_config.json, from the repository's root
#   recipe_options  its own flags, in rows like those of `options` below
# Afterwards each flag's value stands in the variable of its name, `plan` lists the stages to run, the working
# directory is the repository's root, and "$@" holds the --set flags alone, one word each, ready for Python.
# shellcheck shell=sh disable=SC2154

# Prints one line that says what is wrong with the command line, and ends with status 2.
die() {
    printf '%s: %s\n' "${0##*/}" "$(printf '%s' "$1" | tr '\n' ' ')" >&2
    exit 2
}

# flag | letter | value ("": a switch; FILE, DIR: a path) | default | the default in words, if "" | meaning
options="stage|s|STAGE||none, required|the stage to run: $stages
stop_stage||STAGE||the same as --stage|the last of the stages to run, one after the other
config|c|FILE|$default_config||the experiment's configuration
set||KEY=VALUE||none|overrides one key of the configuration, as in --set train.batch_size=8; repeatable
num_workers||N||as the machine allows|worker processes that prepare or load data
gpu||LIST||CUDA_VISIBLE_DEVICES, or else 0; the CPU where there is no GPU|GPUs to use; \"0,1\" trains on two
name|n|NAME||none|the experiment's name
resume||||off|goes on from the experiment's newest checkpoint
resume_from_ckpt_path||DIR||none|goes on from this checkpoint
$recipe_options"

# Finds the row of a flag as it was typed ("--name", "-n"); sets flag and value_name.
find_option() {
    while IFS='|' read -r flag letter value_name _; do
        case $1 in
            "--$flag") return 0 ;;
            "-$letter") [ -z "$letter" ] || return 0 ;;
        esac
    done <<ROWS
$options
ROWS
    return 1
}

# Prints "; did you mean --name?" for an unknown flag: the known one that takes the fewest edits.
suggestion() {
    typed=${1#--} awk -F '|' '
        function least(a, b, c) { a = a < b ? a : b; return a < c ? a : c }
        function edits(a, b,    i, j, d) {
            for (i = 0; i <= length(a); i++) d[i, 0] = i
            for (j = 0; j <= length(b); j++) d[0, j] = j
            for (i = 1; i <= length(a); i++)
                for (j = 1; j <= length(b); j++)
                    d[i, j] = least(d[i - 1, j] + 1, d[i, j - 1] + 1,
                                    d[i - 1, j - 1] + (substr(a, i, 1) != substr(b, j, 1)))
            return d[length(a), length(b)]
        }
        BEGIN { typed = ENVIRON["typed"]; fewest = 1000 }
        typed != "" {
            n = length(typed) > 2 && index($1, typed) ? 1 : edits(typed, $1)
            if (n < fewest) { fewest = n; nearest = $1 }
        }
        END { print fewest <= length(typed) / 2 + 1 ? "; did you mean --" nearest "?" : "; see --help" }
    ' <<ROWS
$options
ROWS
}

print_help() {
    printf '%s\n\nFlags (--flag VALUE or --flag=VALUE):\n' "$usage"
    while IFS='|' read -r flag letter value_name default default_words meaning; do
        printf '  %-31s %s\n%34s(default: %s)\n' \
            "${letter:+-$letter, }--$flag${value_name:+ $value_name}" "$meaning" '' "${default:-$default_words}"
    done <<ROWS
$options
help|h|||off|prints this text
ROWS
    printf '%s\n' '' 'Relative paths in flags start where you stand; those in the configuration and in --set at the repository.'
}

while IFS='|' read -r flag letter value_name default default_words meaning; do
    eval "$flag=\$default"
done <<ROWS
$options
ROWS

# sh has one list only: the words still to be read stand first in it, the --set flags go to its end.
caller_dir=$(pwd)
unread=$#
while [ "$unread" -gt 0 ]; do
    typed=$1
    value=
    has_value=
    shift
    unread=$((unread - 1))
    case $typed in
        -h | --help)
            print_help
            exit 0
            ;;
        --*=*)
            value=${typed#*=}
            typed=${typed%%=*}
            has_value=yes
            ;;
        -*) ;;
        *) die "unexpected argument '$typed'; flags start with --, and a value with spaces needs quotes" ;;
    esac
    find_option "$typed" || die "unknown flag $typed$(suggestion "$typed")"
    if [ -z "$value_name" ]; then
        [ -z "$has_value" ] || die "--$flag takes no value"
        value=yes
    elif [ -z "$has_value" ]; then
        [ "$unread" -gt 0 ] || die "--$flag needs a value"
        value=$1
        shift
        unread=$((unread - 1))
        wanting=$flag
        ! find_option "${value%%=*}" || die "--$wanting needs a value, not the flag ${value%%=*} (or write --$wanting=$value)"
        find_option "$typed"
    fi
    case $value_name:$value in
        FILE:/* | DIR:/* | FILE: | DIR:) ;;
        FILE:* | DIR:*) [ "$caller_dir" = "$root" ] || value=$caller_dir/$value ;;
    esac
    if [ "$flag" = set ]; then
        set -- "$@" "--set=$value"
    else
        eval "$flag=\$value"
    fi
done
cd "$root" || exit

# Ends with the error when a flag that a stage needs is missing: needs 2 name
needs() {
    eval "value=\$$2"
    [ -n "$value" ] || die "stage $1 needs --$2"
}

# Ends with the error when a value is none of the recipe's stages: must_be_stage stop_stage 3
must_be_stage() {
    for step in $stages; do
        [ "$step" != "$2" ] || return 0
    done
    die "--$1 is one of $stages, not '$2'"
}

[ -n "$stage" ] || die "--stage is missing (one of: $stages); see --help"
: "${stop_stage:=$stage}"
must_be_stage stage "$stage"
must_be_stage stop_stage "$stop_stage"
plan=
planning=before
for step in $stages; do
    [ "$step" != "$stage" ] || planning=now
    [ "$planning" != now ] || plan="$plan $step"
    [ "$step" != "$stop_stage" ] || [ "$planning" != now ] || planning=over
done
[ "$planning" = over ] || die "--stop_stage $stop_stage comes before --stage $stage"
