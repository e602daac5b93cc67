# shellcheck shell=bash disable=SC2034
# Private PostgreSQL and Redis servers: own folders, loopback only, free ports beside the standard ones.

scripts=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=scripts/screen.sh
source "$scripts/screen.sh"
# shellcheck source=scripts/processes.sh
source "$scripts/processes.sh"
# shellcheck source=scripts/machine.sh
source "$scripts/machine.sh"

first_postgres_port=15432
first_redis_port=16379
start_seconds=60
as_postgres=()

# Leaves in $postgres_home the folder for PostgreSQL's files of HOME, and in $as_postgres how to run its programs:
# PostgreSQL refuses root, and the account that does its work may not reach a home under /root.
place_postgres() {
    local account=postgres
    postgres_home=$1/postgres
    if ((EUID)); then
        mkdir -p "$postgres_home"
        [[ -O $postgres_home ]] ||
            die "$postgres_home belongs to $(stat -c %U "$postgres_home")." "Run as before, or choose another BELLWORK_HOME."
        return
    fi
    getent passwd postgres >/dev/null || die "There is no account 'postgres', and PostgreSQL does not run as root." \
        "Install Debian's postgresql package, or run this script as an ordinary user."
    if [[ -d $postgres_home/data ]]; then account=$(stat -c %U "$postgres_home/data"); fi
    as_postgres=(env --chdir=/ setpriv "--reuid=$account" "--regid=$account" --clear-groups --pdeathsig TERM --)
    install -d -m 700 -o "$account" "$postgres_home"
    "${as_postgres[@]}" test -w "$postgres_home" || place_postgres_elsewhere "$1"
}

# The name has a part of the home's secret, so that nobody can have made the folder in advance, and a new home gets new data.
place_postgres_elsewhere() {
    rmdir "$postgres_home"
    postgres_home=/var/tmp/bellwork${1//\//-}-${secret:0:8}
    if [[ ! -e $postgres_home ]]; then install -d -m 700 -o postgres "$postgres_home"; fi
    if [[ -L $postgres_home || $(stat -c %U "$postgres_home") != postgres ]]; then
        die "$postgres_home is not the account postgres's: remove it, or choose another BELLWORK_HOME."
    fi
    warn "PostgreSQL's account cannot reach $1: its data is in $postgres_home"
}

# Makes the cluster of $postgres_home unless it exists: role and database `bellwork`, and no way in but that role.
# AUTH is `trust` or `scram-sha-256` with $secret. The rename makes a half-made cluster impossible.
create_cluster() {
    local auth=$1 log=$2 new=$postgres_home/data.new
    shift 2
    [[ ! -d $postgres_home/data ]] || return 0
    rm -rf "$new"
    step "Creating the database cluster" "$log" "${as_postgres[@]}" "$postgres_bin/initdb" --pgdata="$new" \
        --username=postgres --encoding=UTF8 --locale=C.UTF-8 --auth-local=trust --auth-host="$auth" --no-instructions "$@"
    fill_cluster "$new" >>"$log" 2>&1 || fail "Creating the role and the database failed" "$log"
    if grep -qE '(ERROR|FATAL|PANIC):' "$log"; then fail "Creating the role and the database failed" "$log"; fi
    mv "$new" "$postgres_home/data"
}

# In single-user mode a cluster can be changed before anybody can connect; it reports errors in its output only.
fill_cluster() {
    printf '%s\n' "create role bellwork login createdb password '$secret'" 'create database bellwork owner bellwork' |
        "${as_postgres[@]}" "$postgres_bin/postgres" --single -D "$1" postgres
}

postgres_ready() {
    local file=$postgres_home/data/postmaster.pid
    [[ $(sed -n 1p "$file" 2>/dev/null) == "${pids[postgres]}" && $(sed -n 8p "$file") == ready* ]]
}

# Starts PostgreSQL with SETTINGS… and leaves its port in $postgres_port.
start_postgres() {
    local log=$1 setting options=() began now
    shift
    for setting; do options+=(-c "$setting"); done
    read_clock
    began=$now
    launch_on_free_port postgres "Starting PostgreSQL" "$log" "$first_postgres_port"
    postgres_port=$port
    tick "PostgreSQL on port $postgres_port" "$began"
}

launch_postgres() {
    launch postgres "${as_postgres[@]}" "$postgres_bin/postgres" -D "$postgres_home/data" -c "port=$port" \
        -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c timezone=UTC -c log_timezone=UTC "${options[@]}"
}

redis_ready() {
    local info
    info=$(REDISCLI_AUTH=$secret "$redis_cli" -h 127.0.0.1 -p "$port" info 2>/dev/null) &&
        [[ $info == *"process_id:${pids[redis]}"* && $info == *loading:0* ]]
}

# Starts Redis with SETTINGS… in FOLDER and leaves its port in $redis_port.
start_redis() {
    local log=$1 folder=$2 began now
    shift 2
    install -d -m 700 "$folder"
    set -- 'bind 127.0.0.1' "dir \"$folder\"" "requirepass \"$secret\"" 'save ""' "$@"
    (umask 077 && printf '%s\n' "$@" >"$folder/redis.conf")
    read_clock
    began=$now
    launch_on_free_port redis "Starting Redis" "$log" "$first_redis_port"
    redis_port=$port
    tick "Redis on port $redis_port" "$began"
}

launch_redis() {
    launch redis "$redis_server" "$folder/redis.conf" --port "$port"
}

# Starts NAME (by `launch_NAME`, until `NAME_ready`) on the first free $port from FIRST on. Another script may take the
# port in between: then the next one is tried.
launch_on_free_port() {
    local name=$1 text=$2 log=$3 began now
    port=$4
    read_clock
    began=$now
    while true; do
        find_port "$port"
        : >"$log"
        "launch_$name" >>"$log" 2>&1
        if await "$name" "$text" "$start_seconds" "${name}_ready" "$began"; then return; fi
        grep -qi 'address already in use' "$log" || fail "$text failed" "$log"
        port=$((port + 1))
    done
}

# Starts both in $folder for a script that needs speed and no durability.
start_throwaway_servers() {
    secret=''
    place_postgres "$folder"
    create_cluster trust "$logs/initdb.log" --no-sync
    start_postgres "$logs/postgres.log" fsync=off synchronous_commit=off full_page_writes=off \
        max_connections=500 shared_buffers=256MB
    start_redis "$logs/redis.log" "$folder/redis" 'appendonly no'
    database_url=postgres://bellwork@127.0.0.1:$postgres_port/bellwork
    redis_url=redis://127.0.0.1:$redis_port
}

# Leaves a fresh private folder under PARENT in $folder and its logs in $logs; PostgreSQL's account may pass through it.
make_throwaway_folder() {
    folder=$(mktemp -d "$1/bellwork-${0##*/}.XXXXXX")
    logs=$folder/log
    chmod 711 "$folder"
    install -d -m 700 "$logs"
}

# The servers' data is nothing without the script; their logs may explain its failure.
leave_throwaway_servers() {
    local status=$1
    set +e
    trap '' INT TERM HUP PIPE
    clear_progress
    stop_step
    stop TERM 20 redis
    stop QUIT 10 postgres
    rm -rf "$folder/redis" "${postgres_home:-$folder/postgres}"
    if ((status)); then
        printf '    %slogs: %s%s\n' "$faint" "$logs" "$plain"
    else
        rm -rf "$folder"
    fi
    exit "$status"
}

# Each stream is an open file. Root may go beyond the hard limit.
raise_limits() {
    ulimit -n 1048576 2>/dev/null || ulimit -n "$(ulimit -Hn)" 2>/dev/null || true
}
