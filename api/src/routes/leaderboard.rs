//! Leaderboards: the best of a test, and where the caller stands.

use actix_web::web;
use bellwork_shared::ids::TestId;
use bellwork_shared::practice_tests;
use bellwork_shared::ranking::{self, Entry, Period, Standing};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::auth::SignedIn;
use crate::cursor;
use crate::error::ApiError;
use crate::input::Query;
use crate::reply::Json;

/// Which board.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    /// The test.
    test_id: TestId,
    /// What it covers.
    #[serde(default)]
    #[param(inline)]
    period: Period,
    /// How many places at the most; 20 unless told.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
}

/// A board, as the caller sees it.
#[derive(Serialize, ToSchema)]
pub(super) struct Leaderboard {
    entries: Vec<Entry>,
    me: Option<Standing>,
    total: i64,
}

/// `GET /api/leaderboard`
pub(super) async fn show(
    app: web::Data<App>,
    caller: SignedIn,
    query: Query<Which>,
) -> Result<Json<Leaderboard>, ApiError> {
    let query = query.0;
    let limit = cursor::limit(query.limit)?;
    let mut conn = app.database.acquire().await?;
    let board = ranking::board(&mut conn, query.test_id, query.period).await?;
    let total = ranking::total(&mut conn, board).await?;
    if total == 0 && practice_tests::find(&mut conn, query.test_id).await?.is_none() {
        return Err(ApiError::NotFound);
    }
    let entries = ranking::top(&mut conn, board, limit).await?;
    let me = ranking::standing(&mut conn, board, caller.user.id).await?;
    Ok(Json(Leaderboard { entries, me, total }))
}
