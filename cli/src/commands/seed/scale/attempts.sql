-- One of a thousand could not be graded.
insert into attempts (id, user_id, test_id, job_id, status, answers, score, max_score, feedback, submitted_at, graded_at)
select pg_temp.attempt_id(i), pg_temp.user_id(n), pg_temp.test_id(k), pg_temp.job_id(i, 0),
       case when graded then 'graded' else 'failed' end::attempt_status, answers,
       case when graded then score end, 1000, case when graded then feedback end,
       pg_temp.at(pg_temp.submitted(i)), case when graded then pg_temp.at(pg_temp.submitted(i) + 350) end
from (select i, i % 1000 <> 0 as graded, pg_temp.taker(i) as n, pg_temp.taken(i) as k, floor({sheets} * pg_temp.chance(i, 60))::bigint as s
      from generate_series($1::bigint, $2) as i offset 0) as attempt
join sheets on (test, sheet) = (k, s)
