insert into practice_tests (id, slug, title, subject, description, max_score, source_hash, created_at)
select pg_temp.test_id(k), 'scale-' || k, initcap(replace(pg_temp.topic(k), '-', ', ')) || ' ' || k, pg_temp.subject(k),
       'Made by seed --scale.', 250 * pg_temp.questions_of(k), md5(k::text), pg_temp.at(pg_temp.written(k))
from generate_series($1::bigint, $2) as k
