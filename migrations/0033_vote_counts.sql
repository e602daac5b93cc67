-- How many live, counted votes a model has, per period in which they were cast (UTC, weeks from Monday). Kept in the
-- transaction of each vote, and a function of `votes` alone, so that it can be recounted.
-- Votes on one model at once would wait for each other's commits at one row: 32 connections that vote for one model did
-- 500-550 transactions per second with one row, 1,250-1,290 with 16 slots chosen by chance, 1,620-2,020 with 16 chosen by
-- the backend's process id, 2,070-2,170 when they appended changes for a job to fold, and 2,250-3,070 without counting
-- (PostgreSQL 15, 2 cores, fsync on). So each adds to the slot of its backend, and a reader sums at most 16 rows. Only
-- the sum means anything: a slot may be below zero.
create table vote_counts (
    model_id  uuid not null,
    period    leaderboard_period not null,
    starts_on date not null,
    slot      smallint not null,
    up        bigint not null,
    down      bigint not null,
    primary key (period, starts_on, model_id, slot)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- The four periods of an instant and the first day of each.
create function vote_periods(instant timestamptz) returns table (period leaderboard_period, starts_on date)
language sql stable as $$
    select 'all'::leaderboard_period, date '1970-01-01'
    union all select 'month', date_trunc('month', instant at time zone 'UTC')::date
    union all select 'week', date_trunc('week', instant at time zone 'UTC')::date
    union all select 'day', date_trunc('day', instant at time zone 'UTC')::date
$$;

-- Lower end of Wilson's interval at 95 % (z = 1.96) for the share of votes that are up, to six places, so that equal
-- figures are equal scores. Without a vote for it: 0.
create function wilson_lower_bound(up bigint, down bigint) returns double precision
language sql immutable strict parallel safe as $$
    select case when up <= 0 then 0 else
        round((
            (up::numeric + 1.9208 - 1.96 * sqrt(up::numeric * down / (up + down) + 0.9604)) / (up + down + 3.8416)
        ), 6)::double precision end
$$;

-- For people with SQL: every model in every period, the current and the past ones.
create view vote_summary as
    select models.slug, models.name, period, starts_on, sum(up)::bigint as up, sum(down)::bigint as down,
           wilson_lower_bound(sum(up)::bigint, sum(down)::bigint) as score
    from vote_counts join models on models.id = model_id
    group by models.slug, models.name, period, starts_on;
