-- Practice tests and their questions. Points are hundredths of a point, so that partial credit adds up exactly.
-- `answer_key` never leaves the server; `source_hash` lets seeding see that nothing changed.
create type question_kind as enum ('single_choice', 'multiple_choice', 'numeric', 'free_text');

create table practice_tests (
    id          uuid primary key,
    slug        text not null unique,
    title       text not null,
    subject     text not null,
    description text not null,
    passage     text,
    max_score   integer not null check (max_score > 0),
    source_hash text not null,
    created_at  timestamptz not null default now()
);

create table questions (
    id          uuid primary key,
    test_id     uuid not null references practice_tests on delete cascade,
    slug        text not null,
    position    smallint not null check (position > 0),
    kind        question_kind not null,
    topic       text not null,
    difficulty  smallint not null check (difficulty between 1 and 3),
    prompt      text not null,
    choices     jsonb not null default '[]',
    answer_key  jsonb not null,
    explanation text not null,
    points      integer not null check (points > 0),
    unique (test_id, slug),
    unique (test_id, position)
);
