-- What was told in the last 90 days.
insert into notifications (id, user_id, seq, kind, title, body, data, job_id, read_at, created_at)
select pg_temp.uuid7(floor(extract(epoch from graded_at) * 1000)::bigint, hash, 80), user_id,
       row_number() over (partition by user_id order by attempts.id), 'attempt_graded', 'Your result: ' || title,
       format('You earned %s of 10 points.', score / 100.0),
       jsonb_build_object('attempt_id', attempts.id, 'test_id', test_id, 'score', score / 100.0, 'max_score', 10),
       pg_temp.uuid7(floor(extract(epoch from graded_at) * 1000)::bigint, hash, 81),
       case when hash % 10 < 7 then graded_at + interval '5 minutes' end, graded_at
from attempts join practice_tests on practice_tests.id = test_id, lateral (select uuid_hash_extended(attempts.id, 82) as hash) as _
where user_id between pg_temp.user_id($1) and pg_temp.user_id($2) and status = 'graded'
      and attempts.id >= uuid7_floor(pg_temp.at(pg_temp.until() - 90 * pg_temp.day()))
