-- The ledger: one row per accepted job. Redis is a rebuildable index of the rows whose finished_at is null.
-- Partitioned by month of the UUIDv7 id, so that retention drops partitions and the key stays the id alone.
create type job_state as enum ('scheduled', 'ready', 'retrying', 'done', 'dead', 'cancelled');

create table jobs (
    id           uuid primary key,
    kind         text not null,
    version      smallint not null,
    queue        text not null,
    priority     smallint not null check (priority between 0 and 3),
    group_key    text,
    payload      jsonb not null,
    state        job_state not null,
    attempts     smallint not null default 0,
    max_attempts smallint not null,
    run_at       timestamptz not null,
    created_at   timestamptz not null default now(),
    finished_at  timestamptz,
    last_error   text,
    result       jsonb,
    trace_parent text,
    submitter    uuid,
    parent       uuid,
    children     uuid[] not null default '{}',
    constraint closed_rows_have_an_end check ((state in ('done', 'dead', 'cancelled')) = (finished_at is not null))
) partition by range (id);

create index jobs_unfinished on jobs (id) where finished_at is null;
create index jobs_dead on jobs (queue, id) where state = 'dead';

-- The smallest UUIDv7 of an instant: its first 48 bits are the milliseconds since 1970.
create function uuid7_floor(instant timestamptz) returns uuid
language sql immutable strict as $$
    select (lpad(to_hex((extract(epoch from instant) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
$$;

-- Makes the partition of the month that holds `day`, in UTC; says whether it was missing.
create function ensure_jobs_partition(day date) returns boolean
language plpgsql as $$
declare
    starts timestamptz := date_trunc('month', day::timestamp) at time zone 'UTC';
    ends   timestamptz := (date_trunc('month', day::timestamp) + interval '1 month') at time zone 'UTC';
    name   text := 'jobs_' || to_char(day, 'YYYY_MM');
begin
    if to_regclass(name) is not null then
        return false;
    end if;
    execute format('create table %I partition of jobs for values from (%L) to (%L)',
                   name, uuid7_floor(starts), uuid7_floor(ends));
    return true;
end
$$;

-- Catches what no month holds, so that an insert never fails for want of a partition.
create table jobs_default partition of jobs default;

do $$
declare
    ahead integer;
begin
    for ahead in 0..2 loop
        perform ensure_jobs_partition(((now() at time zone 'UTC') + ahead * interval '1 month')::date);
    end loop;
end
$$;

-- Every failed attempt of a job, for the operator who asks why.
create table job_failures (
    job_id   uuid not null,
    attempt  smallint not null,
    error    text not null,
    worker   text not null,
    failed_at timestamptz not null default now(),
    primary key (job_id, attempt)
);
