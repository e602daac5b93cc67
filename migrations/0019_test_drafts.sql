-- The next version of a test while it is being written: one document, valid at every moment. Publishing turns it into rows
-- and deletes it. `revision` counts every change of a test, so that nobody overwrites what they have not seen.
create table test_drafts (
    test_id   uuid primary key references practice_tests on delete cascade,
    content   jsonb not null,
    edited_by uuid,
    edited_at timestamptz not null default now()
);

alter table practice_tests add revision integer not null default 1;
