//! What each user's calls used and cost, per day and model.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use super::budget::Spent;
use crate::ids::UserId;

/// One user's calls to one model on one day (UTC).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct AiUsage {
    /// Whose.
    pub user_id: UserId,
    /// When.
    pub day: NaiveDate,
    /// The model.
    pub model: String,
    /// Calls made.
    pub requests: i64,
    /// Tokens read.
    pub prompt_tokens: i64,
    /// Tokens written.
    pub completion_tokens: i64,
    /// In millionths of the currency of `AI_PRICES`.
    pub cost_micros: i64,
}

/// Where a list of usage goes on: after this one. By default at its start, before all days.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Position {
    day: NaiveDate,
    user_id: UserId,
    model: String,
}

impl Default for Position {
    fn default() -> Self {
        Self { day: NaiveDate::MAX, user_id: UserId(Uuid::max()), model: String::new() }
    }
}

impl From<&AiUsage> for Position {
    fn from(usage: &AiUsage) -> Self {
        Self { day: usage.day, user_id: usage.user_id, model: usage.model.clone() }
    }
}

/// Counts a call. A user who is gone has nothing to count.
///
/// # Errors
/// If the database fails.
pub(super) async fn add(
    conn: &mut PgConnection,
    user: UserId,
    day: NaiveDate,
    model: &str,
    spent: Spent,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        insert into ai_usage as usage (user_id, day, model, requests, prompt_tokens, completion_tokens, cost_micros)
        select id, $2, $3, $4::bigint, $5, $6, $7 from users where id = $1 and $4::bigint > 0
        on conflict (user_id, day, model) do update
        set requests = usage.requests + excluded.requests, prompt_tokens = usage.prompt_tokens + excluded.prompt_tokens,
            completion_tokens = usage.completion_tokens + excluded.completion_tokens,
            cost_micros = usage.cost_micros + excluded.cost_micros
        "#,
        user as UserId,
        day,
        model,
        i64::from(spent.requests),
        i64::try_from(spent.prompt_tokens).unwrap_or(i64::MAX),
        i64::try_from(spent.completion_tokens).unwrap_or(i64::MAX),
        spent.cost_micros,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Up to `limit` days of `user`, the latest first, after `position`.
///
/// # Errors
/// If the database fails.
pub async fn of_user(
    conn: &mut PgConnection,
    user: UserId,
    position: &Position,
    limit: i64,
) -> sqlx::Result<Vec<AiUsage>> {
    sqlx::query_as!(
        AiUsage,
        r#"
        select user_id as "user_id: UserId", day, model, requests, prompt_tokens, completion_tokens, cost_micros
        from ai_usage
        where user_id = $1 and (day, model) < ($2, $3)
        order by day desc, model desc limit $4
        "#,
        user as UserId,
        position.day,
        position.model,
        limit,
    )
    .fetch_all(conn)
    .await
}

/// Up to `limit` of all users' days, the latest first, after `position`.
///
/// # Errors
/// If the database fails.
pub async fn of_all(conn: &mut PgConnection, position: &Position, limit: i64) -> sqlx::Result<Vec<AiUsage>> {
    sqlx::query_as!(
        AiUsage,
        r#"
        select user_id as "user_id: UserId", day, model, requests, prompt_tokens, completion_tokens, cost_micros
        from ai_usage
        where (day, user_id, model) < ($1, $2, $3)
        order by day desc, user_id desc, model desc limit $4
        "#,
        position.day,
        position.user_id as UserId,
        position.model,
        limit,
    )
    .fetch_all(conn)
    .await
}
