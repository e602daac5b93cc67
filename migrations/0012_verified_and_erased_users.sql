-- Whether an address was proved to be its user's, and which rows are shells. An erased user's own row goes; what must
-- stay for the scores of others is given to a shell, a new row that nobody can sign in to and that names nobody.
alter table users
    add column email_verified_at timestamptz,
    add column erased_at         timestamptz;
