-- The history of votes: every cast, withdrawal and decision, only ever appended. Partitioned by month, so that retention
-- drops partitions and a look at the last hour reads one. It holds nothing of where a vote came from.
create type vote_action as enum ('cast', 'withdraw', 'hold', 'release', 'reject');

create table vote_events (
    id       uuid not null,
    at       timestamptz not null,
    vote_id  uuid not null,
    user_id  uuid not null,
    model_id uuid not null,
    action   vote_action not null,
    value    smallint not null check (value between -1 and 1),
    -- The operator who decided; none: the voter, or a rule.
    actor    uuid,
    primary key (id, at)
) partition by range (at);

-- The velocity of one student, and an account's history.
create index vote_events_by_user on vote_events (user_id, at desc);
-- Appended in the order of time, so that a few pages tell where an hour is.
create index vote_events_by_time on vote_events using brin (at) with (autosummarize = on);

-- Makes the partition of the month that holds `day`, in UTC; says whether it was missing.
create function ensure_vote_events_partition(day date) returns boolean
language plpgsql as $$
declare
    starts timestamptz := date_trunc('month', day::timestamp) at time zone 'UTC';
    ends   timestamptz := (date_trunc('month', day::timestamp) + interval '1 month') at time zone 'UTC';
    name   text := 'vote_events_' || to_char(day, 'YYYY_MM');
begin
    if to_regclass(name) is not null then
        return false;
    end if;
    execute format('create table %I partition of vote_events for values from (%L) to (%L)', name, starts, ends);
    return true;
end
$$;

-- Catches what no month holds, so that a vote never fails for want of a partition. A metric tells when it has rows.
create table vote_events_default partition of vote_events default;

do $$
declare
    ahead integer;
begin
    for ahead in 0..2 loop
        perform ensure_vote_events_partition(((now() at time zone 'UTC') + ahead * interval '1 month')::date);
    end loop;
end
$$;
