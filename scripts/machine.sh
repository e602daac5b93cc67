# shellcheck shell=bash
# What the machine must have: a Rust toolchain, and Debian's packages, which are installed when they are missing.

postgres_needed=15
redis_needed=7

# Ends with a sentence if cargo is missing or too old. Leaves Cargo.toml's `rust-version` as the only place of that number.
need_toolchain() {
    local needed found
    command -v cargo >/dev/null || PATH=$HOME/.cargo/bin:$PATH
    needed=$(sed -n 's/^rust-version = "1\.\([0-9]*\)"/\1/p' Cargo.toml)
    found=$(rustc --version 2>/dev/null | sed -n 's/^rustc 1\.\([0-9]*\).*/\1/p') || true
    if [[ -z $found ]] || ! command -v cargo >/dev/null; then
        die "A Rust toolchain is missing (1.$needed or newer). rustup brings it, without root:" \
            "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y" \
            "curl itself comes with: apt-get install curl. Then start this script again."
    fi
    ((found >= needed)) || die "Rust 1.$found is too old, 1.$needed is needed:" "rustup update stable"
}

# Prints the folder of the newest PostgreSQL's programs, or nothing.
find_postgres() {
    local folder
    folder=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
    if [[ -x $folder/initdb ]]; then
        printf '%s' "$folder"
    elif command -v initdb >/dev/null; then
        dirname "$(command -v initdb)"
    fi
}

find_redis() {
    command -v redis-server || command -v valkey-server || true
}

# Prints the packages of the NEED… that are missing: linker, postgres, redis, smtp, venv,
# pgbouncer-build, shellcheck, wrk.
missing_packages() {
    local need
    for need; do
        case $need in
            linker) command -v cc >/dev/null || printf 'gcc libc6-dev ' ;;
            postgres) [[ $(find_postgres) ]] || printf 'postgresql ' ;;
            redis) [[ $(find_redis) ]] || printf 'redis-server ' ;;
            smtp) /usr/bin/python3 -c 'import aiosmtpd' 2>/dev/null || printf 'python3-aiosmtpd ' ;;
            venv) /usr/bin/python3 -c 'import ensurepip' 2>/dev/null || printf 'python3-venv ' ;;
            pgbouncer-build) printf 'libevent-dev libssl-dev pkg-config make curl ' ;;
            shellcheck) command -v shellcheck >/dev/null || printf 'shellcheck ' ;;
            wrk) command -v wrk >/dev/null || printf 'wrk ' ;;
        esac
    done
}

# Installs what of the NEED… is missing; LOG takes apt's words.
need_packages() {
    local log=$1 packages began now
    shift
    read -ra packages <<<"$(missing_packages "$@")"
    if ((${#packages[@]})); then
        need_apt "${packages[*]}"
        read_clock
        began=$now
        apt "$log" "Reading the package lists" update ||
            warn "The package lists could not be renewed: trying with the old ones"
        refuse_old_packages "${packages[@]}"
        apt "$log" "Installing ${packages[*]}" install -y --no-install-recommends "${packages[@]}" ||
            fail "Installing ${packages[*]} failed" "$log"
        tick "Installed ${packages[*]}" "$began"
    fi
}

need_apt() {
    command -v apt-get >/dev/null ||
        die "This system has no apt, and these are missing: $1" \
            "Install them by hand, or use containers instead: docker compose up --build"
    if ((EUID)) && ! sudo -n true 2>/dev/null; then
        if [[ -t 0 ]] && command -v sudo >/dev/null; then
            printf '  Installing %s needs root:\n' "$1"
            sudo -v || die "Without root, ask an administrator for: apt-get install $1"
        else
            die "These packages are missing, and installing them needs root:" "apt-get install -y $1"
        fi
    fi
}

# Runs apt-get. Not with `launch`: sudo knows its user by the terminal, and an interrupted dpkg is a broken machine.
apt() {
    local log=$1 text=$2 root=()
    shift 2
    if ((EUID)); then root=(sudo -n); fi
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 apt-get -q -o DPkg::Lock::Timeout=120 "$@" \
        </dev/null >>"$log" 2>&1 9>&- &
    adopt apt $!
    attend apt "$text"
}

# Refuses a distribution whose PostgreSQL or Redis is too old before anything of it is installed.
refuse_old_packages() {
    local package needed candidate
    for package; do
        case $package in
            postgresql) needed=$postgres_needed ;;
            redis-server) needed=$redis_needed ;;
            *) continue ;;
        esac
        candidate=$(apt-cache policy "$package" 2>/dev/null | sed -n 's/^ *Candidate: \([0-9]*:\)\?\([0-9]*\).*/\2/p')
        if [[ $candidate ]] && ((candidate < needed)); then
            refuse_version "This system's $package" "$candidate" "$needed"
        fi
    done
}

refuse_version() {
    die "$1 is version $2, and Bellwork needs $3 or newer." "Use containers instead: docker compose up --build"
}

# Leaves the programs to start in $postgres_bin, $redis_server and $redis_cli; refuses old ones.
find_servers() {
    local version
    postgres_bin=$(find_postgres)
    version=$("$postgres_bin/postgres" --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')
    ((version >= postgres_needed)) || refuse_version "PostgreSQL in $postgres_bin" "$version" "$postgres_needed"
    redis_server=$(find_redis)
    redis_cli=${redis_server%-server}-cli
    version=$("$redis_server" --version | sed 's/.*v=\([0-9]*\).*/\1/')
    ((version >= redis_needed)) || refuse_version "$redis_server" "$version" "$redis_needed"
}

# Prints cargo's target folder, which the environment or a configuration file may have moved.
target_folder() {
    cargo metadata --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/'
}

# Prints how far the cargo whose output is in LOG has come, as `213/341`.
cargo_progress() {
    tail -c 400 "$1" 2>/dev/null | tr '\r' '\n' | sed -n 's/.*\] \([0-9]*\/[0-9]*\).*/\1/p' | tail -n 1
}

# Runs `cargo ARGUMENTS…` as a step.
cargo_step() {
    local text=$1 log=$2 began now
    shift 2
    read_clock
    began=$now
    CARGO_TERM_PROGRESS_WHEN=always CARGO_TERM_PROGRESS_WIDTH=100 launch step cargo "$@" >>"$log" 2>&1 9>&-
    attend step "$text" cargo_progress "$log" || fail "$text: failed" "$log"
    tick "$text" "$began"
}
