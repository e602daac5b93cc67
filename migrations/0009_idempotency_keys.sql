-- The first answer to a request with an Idempotency-Key, kept for a day and given again to a repetition.
create table idempotency_keys (
    user_id     uuid not null references users on delete cascade,
    route       text not null,
    key         text not null,
    fingerprint bytea not null,
    status      smallint not null,
    location    text,
    body        jsonb not null,
    created_at  timestamptz not null default now(),
    primary key (user_id, route, key)
);

create index idempotency_keys_by_age on idempotency_keys (created_at);
