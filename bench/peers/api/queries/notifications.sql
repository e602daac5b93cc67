select id::text as id, seq::int as seq, kind, title, body, data, read_at, created_at
from notifications where user_id = $1 order by seq desc limit $2
