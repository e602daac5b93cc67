-- What a student took stays readable and is graded by its own key for ever: texts and keys belong to a numbered version
-- that never changes, and a correction is the next version. practice_tests keeps the name, says which version students
-- get, and repeats that version's heading for lists. Existing tests become version 1, and existing attempts are at it.
create table test_versions (
    test_id       uuid not null references practice_tests on delete cascade,
    version       integer not null check (version > 0),
    title         text not null,
    subject       text not null,
    description   text not null,
    passage       text,
    max_score     integer not null check (max_score > 0),
    time_limit    jsonb,
    source_hash   text not null,
    published_at  timestamptz not null default now(),
    superseded_at timestamptz,
    primary key (test_id, version)
);

create unique index test_versions_current on test_versions (test_id) where superseded_at is null;

insert into test_versions (test_id, version, title, subject, description, passage, max_score, source_hash, published_at)
select id, 1, title, subject, description, passage, max_score, source_hash, created_at from practice_tests;

-- `version` is null until the first is published. The default is what processes of the previous release insert.
alter table practice_tests
    add version     integer default 1,
    add time_limit  jsonb,
    add archived_at timestamptz;

-- `lineage` is shared by the versions of one question, so that what a student knows of it outlives a correction.
alter table questions
    add version integer not null default 1,
    add lineage uuid not null default gen_random_uuid(),
    drop constraint questions_test_id_slug_key,
    drop constraint questions_test_id_position_key,
    add constraint questions_by_slug unique (test_id, version, slug),
    add constraint questions_by_position unique (test_id, version, position);

-- Null where the attempt is at a practice set, which is of no test.
alter table attempts add test_version integer default 1;

create function refuse_to_change_history() returns trigger
language plpgsql as $$
begin
    raise exception '% of a published version never change', tg_table_name using errcode = 'check_violation';
end
$$;

create trigger questions_never_change
before update of id, test_id, version, lineage, slug, position, kind, topic, difficulty, prompt, choices, answer_key,
                 explanation, points on questions
for each row execute function refuse_to_change_history();

create trigger test_versions_never_change
before update of test_id, version, title, subject, description, passage, max_score, time_limit, source_hash on test_versions
for each row execute function refuse_to_change_history();
