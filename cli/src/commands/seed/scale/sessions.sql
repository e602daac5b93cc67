-- Tokens that nobody holds.
insert into sessions (id, user_id, token_hash, user_agent, created_at, expires_at)
select pg_temp.uuid7(opened, 100 * n + j, 50), pg_temp.user_id(n), sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())),
       'Mozilla/5.0', pg_temp.at(opened), pg_temp.at(opened + 30 * pg_temp.day())
from (select n, j, greatest(pg_temp.registered(n), pg_temp.until() - (29 * pg_temp.day() * pg_temp.chance(100 * n + j, 51))::bigint) as opened
      from generate_series($1::bigint, $2) as n, generate_series(1, 50) as j
      where n = 1 or j = 1 and pg_temp.chance(n, 52) < 0.1 offset 0) as session
