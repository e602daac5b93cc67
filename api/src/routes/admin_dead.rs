//! Dead letters, by what the jobs died of.

use actix_web::web;
use bellwork_shared::ledger::dead::{self, Cause, LOOKED_AT};
use bellwork_shared::ledger::search::Filter;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::admin_jobs::checked;
use crate::app::App;
use crate::cursor;
use crate::error::ApiError;
use crate::input::Query;
use crate::reply::Json;

/// Which dead jobs.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    /// Those of this queue.
    #[param(max_length = 100, pattern = "^[^\\u0000]*$")]
    queue: Option<String>,
    /// Those of this kind, by its stored name.
    #[param(max_length = 100, pattern = "^[^\\u0000]*$")]
    kind: Option<String>,
    /// How many causes at the most; 20 unless told.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
}

/// What jobs died of, the most frequent cause first. A bulk action with a cause's `queue`, `kind` and `error` takes all its jobs.
#[derive(Serialize, ToSchema)]
pub(super) struct DeadLetters {
    items: Vec<Cause>,
    /// Always none: the rest are rarer causes.
    next_cursor: Option<String>,
    /// How many dead jobs were looked at.
    looked_at: i64,
    /// False if there may be older ones that were not.
    complete: bool,
}

/// `GET /api/admin/dead`
pub(super) async fn list(app: web::Data<App>, query: Query<Which>) -> Result<Json<DeadLetters>, ApiError> {
    let Which { queue, kind, limit } = query.0;
    let filter = checked("", Filter { queue, kind, ..Filter::default() })?;
    let limit = cursor::limit(limit)?;
    let (queue, kind) = (filter.queue.as_deref(), filter.kind.as_deref());
    let mut conn = app.database.acquire().await?;
    let items = dead::causes(&mut conn, queue, kind, limit).await?;
    let looked_at = dead::looked_at(&mut conn, queue).await?;
    Ok(Json(DeadLetters { items, next_cursor: None, looked_at, complete: looked_at < LOOKED_AT }))
}
