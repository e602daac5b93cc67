-- Two votes of a thousand were held back, and an operator has rejected those of every third user.
with cast_ as (
    insert into votes (id, user_id, model_id, value, state, cast_at, settled_at, reasons, rules, cluster)
    select pg_temp.uuid7(at, vote, 100), pg_temp.user_id(n), pg_temp.model_id(m),
           case when pg_temp.chance(vote, 101) < 0.5 + 0.4 * pg_temp.chance(m, 102) then 1 else -1 end,
           case when not suspicious then 'counted' when n % 3 = 0 then 'rejected' else 'held' end::vote_state, pg_temp.at(at),
           case when suspicious and n % 3 = 0 then pg_temp.at(at + 3600000) end,
           case when suspicious then '[{"rule": "new_account", "weight": 2, "detail": "The account was an hour old."}]' else '[]' end::jsonb,
           case when suspicious then array['new_account'] else '{}' end,
           case when suspicious then substr(sha256(int8send(n / 1000)), 1, 16) end
    from (select n, m, 100 * n + m as vote, pg_temp.chance(100 * n + m, 105) < 0.002 as suspicious,
                 pg_temp.registered(n) + ((pg_temp.until() - pg_temp.registered(n)) * pg_temp.chance(100 * n + m, 103))::bigint as at
          from generate_series($1::bigint, $2) as n, generate_series(1, {models}) as m
          where pg_temp.chance(100 * n + m, 104) < pg_temp.voters(m) offset 0) as vote
    order by at
    returning id, user_id, model_id, value, cast_at
)
insert into vote_events (id, at, vote_id, user_id, model_id, action, value)
select id, cast_at, id, user_id, model_id, 'cast', value from cast_
