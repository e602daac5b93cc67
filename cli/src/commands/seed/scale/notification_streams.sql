insert into notification_streams (user_id, last_seq)
select user_id, max(seq) from notifications
where user_id between pg_temp.user_id($1) and pg_temp.user_id($2) group by user_id
