insert into imports (id, submitter, job_id, state, format, filename, title, on_existing, dry_run, size, file, found, usable, lost,
                     outcome, created_at, finished_at)
select pg_temp.uuid7(at, n, 120), pg_temp.user_id(1), pg_temp.uuid7(at, n, 121), 'done', 'gift', n || '.gift', 'Import ' || n, 'refuse', true, 5,
       'empty', 300, 100, 200, 'checked', pg_temp.at(at), pg_temp.at(at + 2000)
from (select n, pg_temp.until() - n * 3600000 as at from generate_series($1::bigint, $2) as n) as import
