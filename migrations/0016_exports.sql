-- The newest export of a user's data: a document made by a job, kept for some days. One row per user: a new export
-- replaces the old one when it is made, and two are never made at a time.
create table exports (
    user_id      uuid primary key references users on delete cascade,
    job_id       uuid not null,
    requested_at timestamptz not null default now(),
    made_at      timestamptz,
    document     text,
    constraint a_made_export_has_a_document check ((made_at is null) = (document is null))
);

create index exports_by_age on exports (made_at) where made_at is not null;
