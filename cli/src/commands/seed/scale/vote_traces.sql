-- What is known of the votes of the last two days. Half come from networks that many share.
insert into vote_traces (vote_id, user_id, model_id, value, device, network, account_created_at, cast_at)
select votes.id, user_id, model_id, value, sha256(uuid_send(user_id)),
       sha256(int8send(case when hash % 2 = 0 then hash % 100 else hash end)), users.created_at, cast_at
from votes join users on users.id = user_id, lateral (select uuid_hash_extended(user_id, 110) as hash) as _
where votes.id >= uuid7_floor(pg_temp.at(pg_temp.until() - 2 * pg_temp.day())) and $1::bigint <= $2
