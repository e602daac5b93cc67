insert into leaderboard_bands (test_id, period, starts_on, band, entries)
select test_id, period, starts_on, score / 100, sum(entries) from leaderboard_histogram group by 1, 2, 3, 4
