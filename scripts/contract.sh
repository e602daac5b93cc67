# shellcheck shell=bash disable=SC2154
# The running API against its own OpenAPI document: schemathesis makes requests from the document, good and bad ones, and
# checks every answer. As nobody, as a student and as an administrator.

schemathesis_version=4.32.5
contract_password='correct horse battery staple'
# With few examples each run makes the same ones, so that a failure is of what has changed; with many each makes its own.
contract_seed=20261120

# Runs EXAMPLES per operation and identity; false if anything was wrong.
check_contract() {
    local examples=$1 identity status=0
    printf '\n'
    need_schemathesis
    start_contract_servers
    for identity in nobody student admin; do
        run_schemathesis "$identity" "$examples" || status=1
    done
    stop TERM 15 contract-api contract-workers
    return "$status"
}

# It has a folder of its own, as the system's Python is not ours to change.
need_schemathesis() {
    local home=$PWD/.local/tools/schemathesis-$schemathesis_version
    schemathesis=$home/bin/schemathesis
    if [[ -x $schemathesis ]]; then return; fi
    rm -rf "$home"
    step "Python environment" "$logs/venv.log" /usr/bin/python3 -m venv "$home"
    step "Installing schemathesis $schemathesis_version" "$logs/pip.log" \
        "$home/bin/pip" install --quiet --disable-pip-version-check "schemathesis==$schemathesis_version"
}

# A database and a prefix of their own, both programs, and two accounts.
start_contract_servers() {
    local bin=$BELLWORK_BIN_DIR name=contract_$$ began now
    contract_database=${database_url%/*}/$name
    export DATABASE_URL=$contract_database REDIS_PREFIX=$name MAIL_DIR=$folder/mail LOG=warn
    # It asks as fast as it can; that limits hold is for other tests.
    export RATE_LIMITS=all=1000000/s
    "$postgres_bin/psql" -q "$database_url" -c "create database $name" >"$logs/contract.log" 2>&1
    step "Migrations and seed data" "$logs/contract.log" sh -c "'$bin/bellwork' migrate && '$bin/bellwork' seed"
    make_account student@example.org
    make_account admin@example.org --admin
    find_port 18080
    contract_url=http://127.0.0.1:$port
    export BIND=127.0.0.1:$port PUBLIC_URL=$contract_url
    read_clock
    began=$now
    launch contract-api "$bin/bellwork-api" >"$logs/contract-api.log" 2>&1
    launch contract-workers "$bin/start-workers" >"$logs/contract-workers.log" 2>&1
    await contract-api "Waiting for $contract_url" 30 contract_ready "$began" ||
        fail "bellwork-api was not ready" "$logs/contract-api.log"
    tick "bellwork-api and start-workers on $contract_url" "$began"
}

make_account() {
    printf '%s\n' "$contract_password" | "$BELLWORK_BIN_DIR/bellwork" users create "$@" --password-stdin \
        >>"$logs/contract.log" 2>&1 || fail "Making the account $1 failed" "$logs/contract.log"
}

contract_ready() {
    [[ $(http_status "${contract_url##*:}" /api/health/ready) == 200 ]]
}

# Runs as IDENTITY; the whole report is shown if anything was wrong.
run_schemathesis() {
    local identity=$1 log=$logs/schemathesis-$1.log seed=() began now
    read_clock
    began=$now
    export CONTRACT_URL=$contract_url CONTRACT_PASSWORD=$contract_password CONTRACT_EMAIL=''
    if [[ $identity != nobody ]]; then CONTRACT_EMAIL=$identity@example.org; fi
    if [[ $2 == "$few_examples" ]]; then seed=(--seed "$contract_seed"); fi
    # It leaves folders where it runs.
    launch step env --chdir="$folder" PYTHONDONTWRITEBYTECODE=1 PYTHONPATH="$PWD/tests/contract" SCHEMATHESIS_HOOKS=hooks \
        "$schemathesis" --config-file "$PWD/tests/contract/schemathesis.toml" run "$contract_url/api/openapi.json" \
        --checks all --max-examples "$2" "${seed[@]}" --no-color >"$log" 2>&1
    if attend step "Schemathesis as $identity" contract_progress "$log"; then
        tick "Schemathesis as $identity: $(sed -n 's/^ *\([0-9]* generated\).*/\1/p' "$log" | tail -n 1)" "$began"
    else
        cross "Schemathesis as $identity" "$began"
        sed -n '/= \(FAILURES\|ERRORS\) =/,$p' "$log"
        return 1
    fi
}

contract_progress() {
    grep -aoE '^ *[^ ]+ +(Examples|Coverage|Fuzzing|Stateful)' "$1" 2>/dev/null | tail -n 1 | sed 's/.* //'
}
