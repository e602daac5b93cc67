# shellcheck shell=bash disable=SC2034
# What the scripts show: a line per step with its seconds. A terminal gets living lines and colours, a log gets neither.

terminal='' bold='' faint='' green='' red='' yellow='' plain=''
if [[ -t 1 && ${TERM:-dumb} != dumb ]]; then
    terminal=yes
    if [[ -z ${NO_COLOR:-} ]]; then
        bold=$'\e[1m' faint=$'\e[2m' green=$'\e[32m' red=$'\e[31m' yellow=$'\e[33m' plain=$'\e[0m'
    fi
fi

frames=(◐ ◓ ◑ ◒)
frame=0
last_progress=''

# Leaves the milliseconds since 1970 in $now.
read_clock() {
    now=$((${EPOCHREALTIME/[.,]/} / 1000))
}

# Prints the seconds since MILLISECONDS, with a tenth while they are few.
seconds_since() {
    local now elapsed
    read_clock
    elapsed=$((now - $1))
    if ((elapsed < 10000)); then
        printf '%d.%d s' $((elapsed / 1000)) $((elapsed % 1000 / 100))
    else
        printf '%d s' $((elapsed / 1000))
    fi
}

clear_progress() {
    if [[ $terminal ]]; then printf '\r\e[K'; fi
}

# Shows that TEXT has gone on since MILLISECONDS, with an optional DETAIL; without a terminal after 2 s, then every 10 s.
progress() {
    local text=$1 now elapsed detail=${3:+ · $3}
    read_clock
    elapsed=$(((now - $2) / 1000))
    if [[ $terminal ]]; then
        printf '\r  %s %s %s%d s%s%s\e[K' "${frames[frame++ % 4]}" "$text" "$faint" "$elapsed" "$detail" "$plain"
    elif ((elapsed == 2 || (elapsed > 0 && elapsed % 10 == 0))) && [[ $last_progress != "$text $elapsed" ]]; then
        last_progress="$text $elapsed"
        printf '  … %s, %d s%s\n' "$text" "$elapsed" "$detail"
    fi
}

# Ends a step that began at MILLISECONDS well.
tick() {
    clear_progress
    printf '  %s✓%s %-46s %s%8s%s\n' "$green" "$plain" "$1" "$faint" "$(seconds_since "$2")" "$plain"
}

cross() {
    clear_progress
    printf '  %s✗%s %-46s %s%8s%s\n' "$red" "$plain" "$1" "$faint" "$(seconds_since "$2")" "$plain"
}

skip() {
    clear_progress
    printf '  %s–%s %s\n' "$yellow" "$plain" "$1"
}

warn() {
    clear_progress
    printf '  %s!%s %s\n' "$yellow" "$plain" "$1"
}

# Ends the script with a sentence; further arguments are lines below it.
die() {
    clear_progress
    printf '  %s✗ %s%s\n' "$red" "$1" "$plain" >&2
    shift
    if (($#)); then printf '    %s\n' "$@" >&2; fi
    exit 1
}

# Prints the last lines of LOG and where it is, without cargo's living lines and its list of what went well.
show_log() {
    local log=$1 lines=${2:-30}
    printf '\n    %slast lines of %s%s\n' "$faint" "$log" "$plain"
    tail -c 65536 "$log" 2>/dev/null | tr '\r' '\n' | sed -E '/^\s*(Building \[|Compiling |Checking |Downloaded |$)/d; s/^/    │ /' |
        tail -n "$lines" || true
}

# Ends the script with a sentence and the ends of the logs that explain it.
fail() {
    local log
    clear_progress
    printf '  %s✗ %s%s\n' "$red" "$1" "$plain" >&2
    shift
    for log; do show_log "$log" >&2; done
    exit 1
}
