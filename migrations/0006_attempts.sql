-- A student's answers to one test and, once graded, their result: one row, so that a result can exist only once.
-- test_id has no foreign key: every insertion would lock the one row of a popular test, and these locks of many
-- transactions on one row were a third of the insertion's cost. Tests are never deleted.
create type attempt_status as enum ('queued', 'grading', 'graded', 'failed');

create table attempts (
    id           uuid primary key,
    user_id      uuid not null references users on delete cascade,
    test_id      uuid not null,
    job_id       uuid not null,
    status       attempt_status not null default 'queued',
    answers      jsonb not null,
    score        integer,
    max_score    integer not null check (max_score > 0),
    feedback     jsonb,
    submitted_at timestamptz not null default now(),
    graded_at    timestamptz,
    constraint graded_attempts_have_a_result check (
        (status = 'graded') = (score is not null and feedback is not null and graded_at is not null)),
    constraint score_within_range check (score between 0 and max_score)
) with (fillfactor = 70);

create index attempts_by_user on attempts (user_id, id desc);

-- lz4 compresses answers and feedback at a fraction of pglz's time; a server built without it keeps pglz.
do $$
begin
    alter table attempts alter answers set compression lz4, alter feedback set compression lz4;
exception when feature_not_supported then
    null;
end
$$;
