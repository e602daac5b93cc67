-- What a student is told, in the order of its sequence number, which is also the id of the event on the live stream.
-- job_id makes a second delivery of the job that wrote it harmless.
create table notification_streams (
    user_id  uuid primary key references users on delete cascade,
    last_seq bigint not null
) with (fillfactor = 50);

create table notifications (
    id         uuid primary key,
    user_id    uuid not null references users on delete cascade,
    seq        bigint not null,
    kind       text not null,
    title      text not null,
    body       text not null,
    data       jsonb not null,
    job_id     uuid not null unique,
    read_at    timestamptz,
    created_at timestamptz not null default now(),
    unique (user_id, seq)
);
