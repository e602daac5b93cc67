-- A student's best score per test and period, and how many students hold each score. Rank and percentile come from
-- the histogram: scores are few, so a rank is a sum over at most some hundred rows however many students there are.
-- Both are derived from attempts and can be rebuilt; test_id has no foreign key, as in attempts.
create type leaderboard_period as enum ('all', 'month', 'week', 'day');

create table leaderboard_entries (
    test_id     uuid not null,
    period      leaderboard_period not null,
    starts_on   date not null,
    user_id     uuid not null references users on delete cascade,
    score       integer not null,
    attempt_id  uuid not null,
    achieved_at timestamptz not null,
    primary key (test_id, period, starts_on, user_id)
);

create index leaderboard_ranking on leaderboard_entries (test_id, period, starts_on, score desc, achieved_at, user_id);

create table leaderboard_histogram (
    test_id   uuid not null,
    period    leaderboard_period not null,
    starts_on date not null,
    score     integer not null,
    entries   bigint not null check (entries >= 0),
    primary key (test_id, period, starts_on, score)
) with (fillfactor = 50);
