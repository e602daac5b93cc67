-- What the rules against abuse look at: where a vote came from, as keyed hashes that only tell "the same as that one".
-- Each day has a key of its own. Keys and traces are deleted after two days; then nobody can tell any more, not even
-- from a backup of the traces and a list of all addresses.
create table vote_traces (
    vote_id            uuid primary key,
    user_id            uuid not null,
    model_id           uuid not null,
    value              smallint not null,
    device             bytea,
    network            bytea,
    account_created_at timestamptz not null,
    cast_at            timestamptz not null
) with (fillfactor = 80);

create index vote_traces_by_device on vote_traces (device, model_id, cast_at) where device is not null;
create index vote_traces_by_network on vote_traces (network, model_id, cast_at) where network is not null;
create index vote_traces_by_time on vote_traces (cast_at, vote_id);

create table vote_trace_keys (
    day date primary key,
    key text not null default gen_random_uuid()::text || gen_random_uuid()::text
);

-- Up to where votes have been reviewed. The one row is also the lock that lets one review record at a time.
create table vote_reviews (
    only_row       boolean primary key default true check (only_row),
    reviewed_until timestamptz not null default 'epoch',
    reviewed_vote  uuid not null default '00000000-0000-0000-0000-000000000000'
);

insert into vote_reviews default values;
