-- The question bank: the questions of all current versions, searched and filtered. A question is `listed` while its version
-- is the current one of an open test without a time limit: who could read a timed test's questions beforehand would have
-- no time limit. One that is about a passage does not stand alone, and is no question to practise with.
alter table questions
    add subject    text not null default '',
    add standalone boolean not null default true,
    add listed     boolean not null default true,
    add search     tsvector generated always as (
        setweight(to_tsvector('english'::regconfig, prompt), 'A')
        || setweight(to_tsvector('english'::regconfig, topic), 'B')
        || setweight(jsonb_to_tsvector('english'::regconfig, jsonb_path_query_array(choices, '$[*].text'), '"string"'), 'C')
    ) stored;

update questions set subject = practice_tests.subject, standalone = practice_tests.passage is null
from practice_tests where practice_tests.id = questions.test_id;

create trigger questions_keep_their_place
before update of subject, standalone on questions
for each row execute function refuse_to_change_history();

create index bank_by_id on questions (id) where listed;
create index bank_by_subject on questions (subject, id) where listed;
create index bank_by_topic on questions (topic, id) where listed;
create index bank_by_difficulty on questions (difficulty, id) where listed;
create index bank_by_kind on questions (kind, id) where listed;
create index bank_search on questions using gin (search) where listed;
create index questions_by_lineage on questions (lineage) where listed;

-- How many listed questions there are of each sort: totals and lists of topics are sums over these few rows. A trigger
-- keeps them, so that no writer can forget; it takes the cells in one order for all, so that writers cannot deadlock.
create table question_bank_counts (
    subject    text not null,
    topic      text not null,
    difficulty smallint not null,
    kind       question_kind not null,
    questions  bigint not null check (questions >= 0),
    primary key (subject, topic, difficulty, kind)
);

insert into question_bank_counts
select subject, topic, difficulty, kind, count(*) from questions where listed group by 1, 2, 3, 4;

create function count_listed() returns trigger
language plpgsql as $$
begin
    insert into question_bank_counts as cell
    select subject, topic, difficulty, kind, count(*) from added where listed group by 1, 2, 3, 4 order by 1, 2, 3, 4
    on conflict (subject, topic, difficulty, kind) do update set questions = cell.questions + excluded.questions;
    return null;
end
$$;

create function uncount_listed() returns trigger
language plpgsql as $$
declare
    gone record;
begin
    for gone in select subject, topic, difficulty, kind, count(*) as n from removed where listed
                group by 1, 2, 3, 4 order by 1, 2, 3, 4 loop
        update question_bank_counts as cell set questions = questions - gone.n
        where (cell.subject, cell.topic, cell.difficulty, cell.kind)
              = (gone.subject, gone.topic, gone.difficulty, gone.kind);
    end loop;
    return null;
end
$$;

create function recount_listed() returns trigger
language plpgsql as $$
declare
    step record;
begin
    for step in select subject, topic, difficulty, kind, sum(n) as n from (
                    select subject, topic, difficulty, kind, 1 as n from added where listed
                    union all select subject, topic, difficulty, kind, -1 from removed where listed) as steps
                group by 1, 2, 3, 4 having sum(n) <> 0 order by 1, 2, 3, 4 loop
        if step.n > 0 then
            insert into question_bank_counts as cell values
                (step.subject, step.topic, step.difficulty, step.kind, step.n)
            on conflict (subject, topic, difficulty, kind) do update set questions = cell.questions + excluded.questions;
        else
            update question_bank_counts as cell set questions = questions + step.n
            where (cell.subject, cell.topic, cell.difficulty, cell.kind)
                  = (step.subject, step.topic, step.difficulty, step.kind);
        end if;
    end loop;
    return null;
end
$$;

create trigger questions_counted after insert on questions
referencing new table as added for each statement execute function count_listed();
create trigger questions_uncounted after delete on questions
referencing old table as removed for each statement execute function uncount_listed();
create trigger questions_recounted after update on questions
referencing old table as removed new table as added for each statement execute function recount_listed();
