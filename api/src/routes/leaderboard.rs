//! Leaderboards: the best of a test, where the caller stands and beside whom, and whether others see them.

use actix_web::web;
use bellwork_shared::cache::{Key, Scope};
use bellwork_shared::ids::TestId;
use bellwork_shared::practice_tests;
use bellwork_shared::ranking::{self, Board, Entry, Period, Standing, Visibility};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sqlx::PgConnection;
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::auth::caller::SignedIn;
use crate::cached::encode;
use crate::caches::Caches;
use crate::cursor;
use crate::error::ApiError;
use crate::input::{Body, Query};
use crate::reply::Json;

/// Places shown on each side of the caller's if they name no number.
const DEFAULT_AROUND: u32 = 5;
/// The most places shown on each side.
const MAX_AROUND: u32 = 25;

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
    #[schema(value_type = Vec<Entry>)]
    entries: Box<RawValue>,
    total: i64,
    me: Option<Standing>,
}

/// What everybody sees of a board.
#[derive(Serialize)]
struct Top {
    entries: Vec<Entry>,
    total: i64,
}

/// The same as it is kept: the entries are passed on as they are written.
#[derive(Deserialize)]
struct Kept {
    entries: Box<RawValue>,
    total: i64,
}

/// Which part of which board.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Around {
    /// The test.
    test_id: TestId,
    /// What it covers.
    #[serde(default)]
    #[param(inline)]
    period: Period,
    /// How many places on each side of the caller's; 5 unless told.
    #[param(minimum = 1, maximum = 25)]
    around: Option<u32>,
}

/// The places around the caller's; none if they have no score on the board.
#[derive(Serialize, ToSchema)]
pub(super) struct Neighbours {
    entries: Vec<Entry>,
}

/// `GET /api/leaderboard`
pub(super) async fn show(
    app: web::Data<App>,
    caller: SignedIn,
    query: Query<Which>,
) -> Result<Json<Leaderboard>, ApiError> {
    let Which { test_id, period, limit } = query.0;
    let limit = cursor::limit(limit)?;
    let board = Board::current(test_id, period);
    let mut conn = app.database.acquire().await?;
    let me = ranking::standing(&mut conn, board, caller.user.id).await?;
    drop(conn);
    let key = Key { scope: Scope::Board(test_id), name: format!("{period:?}:{}:{limit}", board.starts_on).into() };
    let source = app.clone();
    let load = async move || encode(top(&mut *source.database.acquire().await?, board, limit).await?);
    let top = app.caches.body(key, load).await?.value.ok_or(ApiError::NotFound)?;
    let Kept { entries, total } = serde_json::from_slice(top.plain()).map_err(anyhow::Error::new)?;
    Ok(Json(Leaderboard { entries, total, me }))
}

/// What everybody sees of a board; nothing if there is no such test.
async fn top(conn: &mut PgConnection, board: Board, limit: i64) -> sqlx::Result<Option<Top>> {
    let total = ranking::total(conn, board).await?;
    if total == 0 && !practice_tests::exists(conn, board.test).await? {
        return Ok(None);
    }
    Ok(Some(Top { entries: ranking::top(conn, board, limit).await?, total }))
}

/// `GET /api/leaderboard/neighbours`
pub(super) async fn neighbours(
    app: web::Data<App>,
    caller: SignedIn,
    query: Query<Around>,
) -> Result<Json<Neighbours>, ApiError> {
    let query = query.0;
    let around = match query.around.unwrap_or(DEFAULT_AROUND) {
        around @ 1..=MAX_AROUND => around.into(),
        _ => return Err(ApiError::invalid("/around", format!("The number is between 1 and {MAX_AROUND}."))),
    };
    let board = Board::current(query.test_id, query.period);
    let mut conn = app.database.acquire().await?;
    let entries = ranking::neighbours(&mut conn, board, caller.user.id, around).await?;
    if entries.is_empty() {
        must_exist(&mut conn, board.test).await?;
    }
    Ok(Json(Neighbours { entries }))
}

/// Asked only where there is nothing to show: an entry implies its test.
async fn must_exist(conn: &mut PgConnection, test: TestId) -> Result<(), ApiError> {
    if practice_tests::exists(conn, test).await? { Ok(()) } else { Err(ApiError::NotFound) }
}

/// `GET /api/leaderboard/visibility`
pub(super) async fn visibility(app: web::Data<App>, caller: SignedIn) -> Result<Json<Visibility>, ApiError> {
    Ok(Json(ranking::visibility(&mut *app.database.acquire().await?, caller.user.id).await?))
}

/// `PUT /api/leaderboard/visibility`
pub(super) async fn set_visibility(
    app: web::Data<App>,
    caller: SignedIn,
    body: Body<Visibility>,
) -> Result<Json<Visibility>, ApiError> {
    let mut conn = app.database.acquire().await?;
    ranking::set_visibility(&mut conn, caller.user.id, body.value).await?;
    let boards = Caches::boards_of(&mut conn, caller.user.id).await?;
    app.caches.forget(&boards).await;
    Ok(Json(body.value))
}
