-- A sitting: one student, one paper, one clock. For a timed test it fixes the version and the deadline; a practice set is a
-- sitting too, over questions of the bank, whose `test_id` is its own id: its attempt is then of no other's leaderboard.
-- The unique index is what makes fifty starts at the same instant one sitting.
create table sittings (
    id            uuid primary key,
    user_id       uuid not null references users on delete cascade,
    test_id       uuid not null,
    test_version  integer,
    title         text not null,
    questions     uuid[],
    max_score     integer not null check (max_score > 0),
    started_at    timestamptz not null default now(),
    deadline      timestamptz not null,
    closes_at     timestamptz not null,
    late_accepted boolean not null,
    answers       jsonb,
    saved_at      timestamptz,
    ended_at      timestamptz,
    attempt_id    uuid,
    constraint sittings_are_of_a_version_or_of_questions check (
        (test_version is null) = (questions is not null) and (test_version is null) = (test_id = id)),
    constraint sittings_close_after_the_deadline check (started_at <= deadline and deadline <= closes_at),
    constraint an_attempt_ends_its_sitting check (attempt_id is null or ended_at is not null)
) with (fillfactor = 80);

create unique index sittings_live on sittings (user_id, test_id) where ended_at is null;
create index sittings_by_user on sittings (user_id, id desc);

-- Late answers and practice sets are graded like all others, and never ranked.
alter table attempts
    add sitting_id uuid,
    add late       boolean not null default false,
    add ranks      boolean not null default true;
