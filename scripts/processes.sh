# shellcheck shell=bash
# Starting, watching and stopping processes by their ids. Each runs in a session of its own, so that Ctrl-C reaches only
# the script, which stops them in their order; should the script itself be killed, the kernel passes SIGTERM on.

declare -A pids=()

# Calls LEAVE with the exit code, however the script ends.
at_end() {
    # shellcheck disable=SC2064
    trap "$1 \$?" EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
}

# Starts COMMAND… under NAME. The caller redirects its output.
launch() {
    local name=$1
    shift
    setsid setpriv --pdeathsig TERM -- "$@" </dev/null &
    adopt "$name" $!
}

# Knows the child PID as NAME from now on.
adopt() {
    pids[$1]=$2
}

# True while NAME runs. An id that no longer is our child's may be somebody else's by now: it is never signalled.
running() {
    [[ ${pids[$1]:-} ]] && grep -qs "^PPid:[[:space:]]*$$\$" "/proc/${pids[$1]}/status"
}

# Waits until READY (a function) succeeds; false when NAME has ended or SECONDS have passed.
await() {
    local name=$1 text=$2 deadline=$3 ready=$4 began=$5 now
    until "$ready"; do
        running "$name" || return 1
        read_clock
        ((now - began < deadline * 1000)) || return 1
        progress "$text" "$began"
        sleep 0.1
    done
    running "$name"
}

# Waits for the end of NAME, showing TEXT and what DETAIL (a command) says, and returns its status.
attend() {
    local name=$1 text=$2 began now
    shift 2
    read_clock
    began=$now
    while running "$name"; do
        progress "$text" "$began" "$(if (($#)); then "$@"; fi)"
        sleep 0.3
    done
    settle "$name"
}

# Reaps NAME and returns its status.
settle() {
    local pid=${pids[$1]} status=0
    wait "$pid" || status=$?
    unset "pids[$1]"
    return "$status"
}

# Runs COMMAND… as one step with its own line; its output goes to LOG, whose end is shown should it fail.
step() {
    local text=$1 log=$2 began now
    shift 2
    read_clock
    began=$now
    launch step "$@" >>"$log" 2>&1
    attend step "$text" || fail "$text: failed" "$log"
    tick "$text" "$began"
}

# Runs COMMAND… with its output on the screen, and returns its status.
show() {
    launch step "$@"
    settle step
}

send() {
    running "$2" && kill -s "$1" -- "${pids[$2]}" 2>/dev/null
}

# Sends SIGNAL to every NAME that runs, waits for all, and kills what is still there after SECONDS.
stop() {
    local signal=$1 grace=$2 name
    shift 2
    for name; do send "$signal" "$name"; done
    for name; do await_end "$name" "$grace"; done
}

await_end() {
    local name=$1 grace=$2 began now
    read_clock
    began=$now
    while running "$name"; do
        read_clock
        if ((now - began > grace * 1000)); then
            warn "$name did not stop within $grace s and was killed"
            send KILL "$name"
        fi
        if ((now - began > 1000)); then progress "Stopping $name" "$began"; fi
        sleep 0.1
    done
    clear_progress
    unset "pids[$name]"
}

# Stops the step that runs, with everything that it started.
stop_step() {
    if running step; then
        kill -s TERM -- "-${pids[step]}" 2>/dev/null || send TERM step
        await_end step 10
    fi
}

# True if something listens on PORT of this machine.
port_taken() {
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# Leaves the first free port from FIRST on in $port.
find_port() {
    port=$1
    while port_taken "$port"; do port=$((port + 1)); done
}

# Prints the status that `GET PATH` has on PORT of this machine, or nothing.
http_status() {
    local protocol='' status=''
    {
        printf 'GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' "$2" >&3
        read -r -t 5 protocol status _ <&3
        read -r -t 5 -d '' _ <&3
    } 2>/dev/null 3<>"/dev/tcp/127.0.0.1/$1" || true
    if [[ $protocol == HTTP/* ]]; then printf '%s' "$status"; fi
}
