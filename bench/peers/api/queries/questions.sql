select id::text as id, kind::text as kind, prompt, choices, points / 100.0::float8 as points
from questions
where test_id = $1 and version = (select version from practice_tests where practice_tests.id = $1) order by position
