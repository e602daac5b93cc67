insert into leaderboard_histogram (test_id, period, starts_on, score, entries)
select test_id, period, starts_on, score, count(*) from leaderboard_entries group by 1, 2, 3, 4
