select id::text as id, test_id::text as test_id, status::text as status, score / 100.0::float8 as score,
       max_score / 100.0::float8 as max_score, percentile, coalesce(feedback, '[]') as feedback, submitted_at, graded_at
from attempts left join lateral (
    select round(100 * (coalesce(sum(entries) filter (where cell.score < attempts.score), 0)
                        + coalesce(sum(entries) filter (where cell.score = attempts.score), 0) / 2)
                 / nullif(sum(entries), 0), 1)::float8 as percentile
    from leaderboard_histogram as cell
    where cell.test_id = attempts.test_id and period = 'all' and attempts.status = 'graded' and ranks
) as ranked on true
where user_id = $1 order by id desc limit $2
