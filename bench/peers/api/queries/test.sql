select id::text as id, slug, title, subject, description, max_score / 100.0::float8 as max_score, version, time_limit, passage
from practice_tests where id = $1 and version is not null and archived_at is null
