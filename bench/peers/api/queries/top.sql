with top as (
    select user_id, score, achieved_at from leaderboard_entries
    where test_id = $1 and period = 'all' and starts_on = '1970-01-01'
    order by score desc, achieved_at, user_id limit $2
)
select (rank() over (order by score desc))::int as rank, user_id::text as user_id,
       case when leaderboard_visible then display_name end as display_name, score / 100.0::float8 as score
from top join users on users.id = user_id order by top.score desc, achieved_at, top.user_id
