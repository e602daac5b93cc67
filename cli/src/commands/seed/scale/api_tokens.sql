-- Tokens that nobody holds, up to ten of each of a few users.
insert into api_tokens (id, user_id, token_hash, name, scopes, created_at, expires_at)
select pg_temp.uuid7(pg_temp.until() - j * 60000, 100 * n + j, 130), pg_temp.user_id(n),
       sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())), 'Program ' || j, array['read'],
       pg_temp.at(pg_temp.until() - j * 60000), pg_temp.at(pg_temp.until() + 30 * pg_temp.day())
from generate_series($1::bigint, $2) as n, generate_series(1, 10) as j
where n = 1 or pg_temp.chance(n, 131) < 0.05 and pg_temp.chance(100 * n + j, 132) < 0.2
