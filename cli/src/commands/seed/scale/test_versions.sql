insert into test_versions (test_id, version, title, subject, description, max_score, source_hash, published_at)
select id, 1, title, subject, description, max_score, source_hash, created_at
from practice_tests where id between pg_temp.test_id($1) and pg_temp.test_id($2)
