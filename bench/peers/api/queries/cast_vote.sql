with before as (
    select value, cast_at from votes where user_id = $1 and model_id = (select id from models where slug = $2 and active)
    for update
), live as (
    insert into votes as vote (id, user_id, model_id, value, cast_at)
    select gen_random_uuid(), $1, id, $3::smallint, now() from models
    where slug = $2 and active and $3::smallint is distinct from coalesce((select value from before), 0::smallint)
    on conflict (user_id, model_id) do update set value = excluded.value, cast_at = excluded.cast_at
    returning id, model_id, value, cast_at
), event as (
    insert into vote_events (id, at, vote_id, user_id, model_id, action, value)
    select gen_random_uuid(), cast_at, id, $1, model_id, case value when 0 then 'withdraw' else 'cast' end::vote_action, value
    from live
), steps as (
    select live.model_id, before.cast_at as at, before.value, -1 as step from before, live
    union all
    select model_id, cast_at, value, 1 from live
)
insert into vote_counts as cell (model_id, period, starts_on, slot, up, down)
select model_id, period, starts_on, pg_backend_pid() % 16, sum(step * (value = 1)::int), sum(step * (value = -1)::int)
from steps cross join lateral board_periods(at)
group by model_id, period, starts_on order by period, starts_on
on conflict (period, starts_on, model_id, slot) do update set up = cell.up + excluded.up, down = cell.down + excluded.down
