-- Files that operators hand in to become tests. The file stays with its row until the import is deleted, so that a job can
-- be run again and a teacher can be answered; PostgreSQL compresses what is larger than 2 kB by itself.
create type import_state as enum ('queued', 'done', 'failed');

create table imports (
    id           uuid primary key,
    submitter    uuid not null,
    job_id       uuid not null,
    state        import_state not null default 'queued',
    format       text,
    filename     text,
    title        text,
    subject      text,
    on_existing  text not null check (on_existing in ('refuse', 'replace')),
    dry_run      boolean not null,
    size         integer not null check (size > 0),
    file         bytea not null,
    found        integer not null default 0,
    usable       integer not null default 0,
    lost         integer not null default 0,
    changed      integer not null default 0,
    outcome      text check (outcome in ('created', 'unchanged', 'replaced', 'checked')),
    test_id      uuid,
    error        text,
    created_at   timestamptz not null default now(),
    finished_at  timestamptz,
    constraint closed_imports_have_an_end check ((state = 'queued') = (finished_at is null)),
    constraint failed_imports_say_why check ((state = 'failed') = (error is not null))
);
