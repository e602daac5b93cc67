insert into job_failures (job_id, attempt, error, worker, failed_at)
select id, attempt, last_error, 'scale-1', finished_at
from jobs cross join generate_series(1, attempts) as attempt where state = 'dead'
