select id::text as id, slug, title, subject, description, max_score / 100.0::float8 as max_score, version, time_limit,
       (select count(*)::int from questions
        where test_id = practice_tests.id and version = practice_tests.version) as question_count
from practice_tests where version is not null and archived_at is null order by id limit $1
