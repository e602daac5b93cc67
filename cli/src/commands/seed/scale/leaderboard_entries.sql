-- The best of each student, test and board, of the boards that are kept.
insert into leaderboard_entries (test_id, period, starts_on, user_id, score, attempt_id, achieved_at)
select distinct on (test_id, period, starts_on, user_id) test_id, period, starts_on, user_id, score, id, submitted_at
from attempts cross join lateral board_periods(submitted_at)
where user_id between pg_temp.user_id($1) and pg_temp.user_id($2) and status = 'graded' and ranks
      and (period = 'all' or starts_on >= (pg_temp.at(pg_temp.until()) at time zone 'UTC')::date - 62)
order by test_id, period, starts_on, user_id, score desc, submitted_at, id
