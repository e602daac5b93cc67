-- One attempt of twenty was made against the clock.
insert into sittings (id, user_id, test_id, test_version, title, max_score, started_at, deadline, closes_at, late_accepted,
                      answers, saved_at, ended_at, attempt_id)
select pg_temp.uuid7(floor(extract(epoch from submitted_at) * 1000)::bigint - 600000, hash, 70), user_id, test_id, 1, title,
       attempts.max_score, submitted_at - interval '10 minutes', submitted_at + interval '10 minutes',
       submitted_at + interval '10 minutes', false, answers, submitted_at, submitted_at, attempts.id
from attempts join practice_tests on practice_tests.id = test_id, lateral (select uuid_hash_extended(attempts.id, 71) as hash) as _
where user_id between pg_temp.user_id($1) and pg_temp.user_id($2) and hash % 20 = 0
