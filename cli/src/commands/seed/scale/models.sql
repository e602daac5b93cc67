insert into models (id, slug, name, description, created_at)
select pg_temp.model_id(m), 'scale-' || m, 'Model ' || m, 'Made by seed --scale.', pg_temp.at(pg_temp.until() - pg_temp.span() - pg_temp.day())
from generate_series($1::bigint, $2) as m
