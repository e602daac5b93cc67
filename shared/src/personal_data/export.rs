//! The export: every column that a person has a right to, of every table that holds something of them.

use chrono::Utc;
use serde_json::{Map, Value, json};
use sqlx::{AssertSqlSafe, PgConnection};

use super::{ALL, Holding};
use crate::ids::UserId;

/// What the document says of itself.
const ABOUT: &str =
    "All that Bellwork keeps about you, table by table. Times are UTC; scores and points are hundredths of a point.";

/// The document, unless the user is gone. Read it within one snapshot.
///
/// # Errors
/// If the database fails.
pub async fn export(conn: &mut PgConnection, user: UserId) -> sqlx::Result<Option<Value>> {
    let mut document = Map::new();
    document.insert("about".to_owned(), json!(ABOUT));
    document.insert("made_at".to_owned(), json!(Utc::now()));
    for holding in ALL {
        document.insert(holding.table.to_owned(), rows(conn, holding, user).await?);
    }
    let is_known = document["users"].as_array().is_some_and(|users| !users.is_empty());
    Ok(is_known.then_some(Value::Object(document)))
}

async fn rows(conn: &mut PgConnection, holding: &Holding, user: UserId) -> sqlx::Result<Value> {
    let Holding { table, user: owner, .. } = holding;
    let columns = holding.exported.join(", ");
    let order = holding.exported[0];
    // All names are constants of the table of personal data.
    let select = AssertSqlSafe(format!(
        "select coalesce(jsonb_agg(to_jsonb(kept) order by {order}), '[]')
         from (select {columns} from {table} where {owner} = $1) as kept",
    ));
    sqlx::query_scalar(select).bind(user.0).fetch_one(conn).await
}
