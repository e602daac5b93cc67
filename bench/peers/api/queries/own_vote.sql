with counts as (
    select models.id as model_id, coalesce(sum(up), 0)::bigint as up, coalesce(sum(down), 0)::bigint as down
    from models left join vote_counts on model_id = models.id and period = 'all' and starts_on = '1970-01-01'
    where slug = $2 group by models.id
)
select up::int as up, down::int as down, wilson_lower_bound(up, down) as score,
       coalesce(value, 0::smallint) as value, cast_at
from counts left join votes on votes.user_id = $1 and votes.model_id = counts.model_id
