# shellcheck shell=bash disable=SC2016,SC2154
# PgBouncer for the tests: the system's, if it knows prepared statements, else built from the source package of the
# system's own mirror. Debian 12 has 1.18; prepared statements in transaction mode came with 1.21.

pgbouncer_needed=21
pgbouncer_version=1.24.1
pgbouncer_sha256=da72a3aba13072876d055a3e58dd4aba4a5de4ed6148e73033185245598fd3e0

# Leaves the program in $pgbouncer.
need_pgbouncer() {
    local home=$PWD/.local/tools/pgbouncer-$pgbouncer_version minor
    pgbouncer=$(command -v pgbouncer || true)
    minor=$("${pgbouncer:-false}" --version 2>/dev/null | sed -n 's/^PgBouncer 1\.\([0-9]*\).*/\1/p') || true
    if ((${minor:-0} >= pgbouncer_needed)); then return; fi
    pgbouncer=$home/pgbouncer
    if [[ -x $pgbouncer ]]; then return; fi
    need_packages "$logs/apt.log" pgbouncer-build
    export -f fetch_pgbouncer make_pgbouncer
    export pgbouncer_version pgbouncer_sha256
    rm -rf "$home"
    mkdir -p "$home"
    step "Fetching PgBouncer $pgbouncer_version" "$logs/pgbouncer.log" bash -c 'fetch_pgbouncer "$@"' bash "$home"
    step "Building PgBouncer $pgbouncer_version" "$logs/pgbouncer.log" bash -c 'make_pgbouncer "$@"' bash "$home"
    mv "$home/source/pgbouncer" "$pgbouncer"
    rm -rf "$home/source"
}

fetch_pgbouncer() {
    local mirror file=pgbouncer_$pgbouncer_version.orig.tar.gz
    mirror=$(apt-get indextargets --format '$(REPO_URI)' | grep -v security | head -n 1)
    curl --fail --silent --show-error --location --max-time 120 --output "$1/$file" \
        "${mirror%/}/pool/main/p/pgbouncer/$file" &&
        printf '%s  %s\n' "$pgbouncer_sha256" "$1/$file" | sha256sum --check --quiet &&
        mkdir "$1/source" && tar --extract --gzip --strip-components 1 --directory "$1/source" --file "$1/$file"
}

make_pgbouncer() {
    (cd "$1/source" && ./configure --without-cares && make -j 2)
}
