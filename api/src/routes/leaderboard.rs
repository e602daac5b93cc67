//! Leaderboards: the best of a test, and where the caller stands.

use actix_web::{HttpRequest, HttpResponse, web};
use bellwork_shared::ids::TestId;
use bellwork_shared::practice_tests;
use bellwork_shared::ranking::{self, Entry, Period, Standing};
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::auth::SignedIn;
use crate::cursor;
use crate::error::ApiError;
use crate::input;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Query {
    test_id: TestId,
    #[serde(default)]
    period: Period,
    limit: Option<u32>,
}

#[derive(Serialize)]
struct Leaderboard {
    entries: Vec<Entry>,
    me: Option<Standing>,
    total: i64,
}

/// `GET /api/leaderboard`
pub(super) async fn show(
    app: web::Data<App>,
    caller: SignedIn,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let query: Query = input::query(&request)?;
    let limit = cursor::limit(query.limit)?;
    let mut conn = app.database.acquire().await?;
    let board = ranking::board(&mut conn, query.test_id, query.period).await?;
    let total = ranking::total(&mut conn, board).await?;
    if total == 0 && practice_tests::find(&mut conn, query.test_id).await?.is_none() {
        return Err(ApiError::NotFound);
    }
    let entries = ranking::top(&mut conn, board, limit).await?;
    let me = ranking::standing(&mut conn, board, caller.user.id).await?;
    Ok(HttpResponse::Ok().json(Leaderboard { entries, me, total }))
}
