select id::text as id, test_id::text as test_id, status::text as status, score / 100.0::float8 as score,
       max_score / 100.0::float8 as max_score, percentile, coalesce(feedback, '[]') as feedback, submitted_at, graded_at
from attempts left join lateral (
    select round(100 * (coalesce(bands.below, 0) + coalesce(cells.below, 0) + coalesce(cells.equal, 0) / 2)
                 / nullif(bands.total, 0), 1)::float8 as percentile
    from (
        select sum(entries) as total, sum(entries) filter (where band < attempts.score / 100) as below
        from leaderboard_bands as row
        where row.test_id = attempts.test_id and period = 'all' and starts_on = '1970-01-01'
    ) as bands, (
        select sum(entries) filter (where cell.score < attempts.score) as below,
               sum(entries) filter (where cell.score = attempts.score) as equal
        from leaderboard_histogram as cell
        where cell.test_id = attempts.test_id and period = 'all' and starts_on = '1970-01-01'
              and cell.score between attempts.score / 100 * 100 and attempts.score
    ) as cells
    where attempts.status = 'graded' and ranks
) as ranked on true
where user_id = $1 and id = $2
