-- Study aids: explanations, study plans and flashcards that a student asked for. One row holds what was asked and, once
-- its job is done, the result, so that a result can exist only once.
create type aid_kind as enum ('explanation', 'study_plan', 'flashcards');
create type aid_status as enum ('queued', 'ready', 'failed');
create type aid_maker as enum ('ai', 'rules');

create table study_aids (
    id          uuid primary key,
    user_id     uuid not null references users on delete cascade,
    kind        aid_kind not null,
    job_id      uuid not null,
    status      aid_status not null default 'queued',
    asked       jsonb not null,
    made_by     aid_maker,
    model       text,
    result      jsonb,
    created_at  timestamptz not null default now(),
    finished_at timestamptz,
    constraint ready_aids_have_a_result check (
        (status = 'ready') = (result is not null and made_by is not null and finished_at is not null))
) with (fillfactor = 80);

create index study_aids_by_user on study_aids (user_id, kind, id desc);
