select user_id::text as user_id, extract(epoch from least(expires_at, idle_at))::float8 as expires_at
from sessions where token_hash = $1 and least(expires_at, idle_at) > now()
