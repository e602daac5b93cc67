-- What the ledger keeps: the four jobs of each attempt of the last 30 days. One mail of 200 was refused.
insert into jobs (id, kind, version, queue, priority, payload, state, attempts, max_attempts, run_at, created_at, finished_at,
                  last_error, result, submitter, parent)
select pg_temp.job_id(i, step), kind, 1, queue, priority, payload || jsonb_build_object('attempt_id', pg_temp.attempt_id(i)),
       case when dead then 'dead' else 'done' end::job_state, case when dead then max_attempts else 0 end, max_attempts,
       pg_temp.at(at), pg_temp.at(at), pg_temp.at(at + 300),
       case when dead then format('550 5.1.1 mailbox %s is unknown', i) end,
       case when step = 0 and not dead then jsonb_build_object('attempt_id', pg_temp.attempt_id(i), 'score', 7.5, 'max_score', 10) end,
       pg_temp.user_id(n), case when step > 0 then pg_temp.job_id(i, 0) end
from (select i, pg_temp.taker(i) as n
      from generate_series(greatest($1::bigint, pg_temp.attempts() - pg_temp.attempts() * 30 / 730), $2) as i offset 0) as attempt,
     (values (0, 'grade_attempt', 'ai', 1::smallint, 5::smallint, '{}'::jsonb),
             (1, 'update_leaderboard', 'leaderboard', 2, 5, '{}'),
             (2, 'send_email', 'email', 2, 5, '{"mail": "attempt_graded"}'),
             (3, 'notify_user', 'notification', 1, 5, '{}')) as kind (step, kind, queue, priority, max_attempts, payload),
     lateral (select pg_temp.submitted(i) + 400 * step as at,
                     case step when 0 then i % 1000 = 0 when 2 then i % 200 = 7 else false end as dead) as end_
