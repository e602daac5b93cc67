use std::collections::BTreeSet;

use sqlx::PgPool;

use super::*;

/// Names that a column with a user's id may have, beside those that end so.
const USER_COLUMNS: &str = "^(account|submitter|voter|author|owner|editor|reviewer|student|created_by|edited_by|updated_by|decided_by|.*user_id|.*_by_user)$";

/// Every table, but for partitions, that refers to users or has a column that says so by its name.
async fn tables_that_name_users(database: &PgPool) -> BTreeSet<String> {
    let found: Vec<String> = sqlx::query_scalar(
        "select pg_class.relname::text from pg_class join pg_attribute on attrelid = pg_class.oid
         where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition and attnum > 0
               and not attisdropped
               and ((atttypid = 'uuid'::regtype and attname ~ $1)
                    or exists (select from pg_constraint where contype = 'f' and confrelid = 'users'::regclass
                               and conrelid = pg_class.oid))",
    )
    .bind(USER_COLUMNS)
    .fetch_all(database)
    .await
    .unwrap();
    found.into_iter().chain(["users".to_owned()]).collect()
}

#[sqlx::test(migrator = "crate::database::MIGRATIONS")]
async fn every_table_that_names_a_user_is_in_the_table_or_an_exception(database: PgPool) {
    let known = ALL.iter().map(|holding| holding.table).chain(EXCEPTIONS.iter().map(|(table, _)| *table));
    let known: BTreeSet<String> = known.map(str::to_owned).collect();
    let found = tables_that_name_users(&database).await;
    let missing: Vec<_> = found.difference(&known).collect();
    assert!(missing.is_empty(), "say in personal_data.rs how these are exported and erased: {missing:?}");
    let gone: Vec<_> = known.difference(&found).collect();
    assert!(gone.is_empty(), "these name no user: {gone:?}");
}

#[sqlx::test(migrator = "crate::database::MIGRATIONS")]
async fn every_column_is_exported_or_withheld(database: PgPool) {
    for holding in ALL {
        let columns: Vec<String> = sqlx::query_scalar(
            "select column_name::text from information_schema.columns where table_schema = 'public' and table_name = $1",
        )
        .bind(holding.table)
        .fetch_all(&database)
        .await
        .unwrap();
        let found: BTreeSet<&str> = columns.iter().map(String::as_str).collect();
        let known = holding.exported.iter().chain(holding.withheld).copied().chain([holding.user]);
        assert_eq!(found, known.collect(), "the columns of {}", holding.table);
    }
}
