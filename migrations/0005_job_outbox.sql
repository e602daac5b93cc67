-- The transactional outbox: a job's id stands here from the commit of its row until Redis has taken it.
-- Whoever pushed deletes; what a dead process left behind is pushed by the relay. A second push of an id is harmless.
create table job_outbox (
    job_id uuid primary key
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
