-- Operators look for jobs that were given up, by their error and the newest first. Only such rows are in the index, so jobs
-- that end well do not pay for it. A ledger that is large already can be given the same index on each partition beforehand,
-- concurrently: PostgreSQL takes it over instead of making its own.
create index jobs_given_up on jobs (state, id) where state in ('dead', 'cancelled');

-- An error without what differs from job to job: ids become {id}, numbers #. Jobs with equal ones died of the same thing.
create function normalised_error(error text) returns text
language sql immutable strict parallel safe as $$
    select regexp_replace(
        regexp_replace(left(error, 300), '[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}', '{id}', 'gi'), '\d+', '#', 'g')
$$;
