select coalesce(sum(entries), 0)::int as total from leaderboard_bands
where test_id = $1 and period = 'all' and starts_on = '1970-01-01'
