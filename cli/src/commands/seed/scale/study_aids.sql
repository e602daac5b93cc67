-- One user of 25 asks for aids, few of them often; the first does.
insert into study_aids (id, user_id, kind, job_id, status, asked, made_by, model, result, created_at, finished_at)
select pg_temp.uuid7(at, n * 1000 + j, 90), pg_temp.user_id(n), kind::aid_kind, pg_temp.uuid7(at, n * 1000 + j, 91), 'ready', asked,
       'ai', 'scale-1', result, pg_temp.at(at), pg_temp.at(at + 4000)
from (select n, j, pg_temp.registered(n) + ((pg_temp.until() - pg_temp.registered(n)) * pg_temp.chance(n * 1000 + j, 92))::bigint as at
      from generate_series($1::bigint, $2) as n,
           generate_series(1, case when n = 1 then 300 else floor(0.04 / greatest(pg_temp.chance(n, 93), 0.00015)) end::bigint) as j offset 0) as aid
join (values (0, 'explanation', jsonb_build_object('attempt_id', pg_temp.attempt_id(1), 'question_id', pg_temp.question_id(1, 1)),
              '{"explanation": "It follows from the definition.", "remember": ["Read the definition."]}'::jsonb),
             (1, 'study_plan', '{"days": 1, "minutes_per_day": 30}',
              '{"summary": "A day.", "days": [{"day": 1, "tasks": [{"topic": "biology-cycles", "activity": "Read.", "minutes": 30}]}]}'),
             (2, 'flashcards', '{"subject": "biology", "count": 1}', '{"cards": [{"front": "What rises?", "back": "What is warm."}]}')
     ) as form (which, kind, asked, result) on which = j % 3
