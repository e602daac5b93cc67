//! AI models, as students see and rate them.

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use bellwork_shared::models::{self, Model, Slug};
use bellwork_shared::ranking::Period;
use bellwork_shared::reading::Reader;
use bellwork_shared::votes::counts::{self, RankedModel};
use bellwork_shared::votes::evidence::{self, NewVote};
use bellwork_shared::votes::{Ballot, OwnVote, Tally, casting, rules};
use futures_util::future::{Ready, ready};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use utoipa::{IntoParams, PartialSchema, ToSchema};

use crate::app::App;
use crate::auth::caller::SignedIn;
use crate::cursor::{self, Cursors, Listed, Page};
use crate::describe::{Description, Takes};
use crate::error::ApiError;
use crate::input::{Body, Query};
use crate::origin::Origin;
use crate::reply::{Json, WithCookie};

/// The model that a path names.
pub(super) struct Named(pub(super) Slug);

impl FromRequest for Named {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let slug = request.match_info().get("slug").and_then(|slug| Slug::parse(slug).ok());
        ready(slug.map(Self).ok_or(ApiError::NotFound))
    }
}

impl Takes for Named {
    fn describe(description: &mut Description) {
        description.path_parameter("slug", Slug::schema());
    }
}

/// A vote.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Vote {
    /// 1: it helped; -1: it did not; 0 withdraws.
    value: Ballot,
}

/// The caller's vote, and how the model stands with it.
#[derive(Serialize, ToSchema)]
pub(super) struct Voted {
    model: Slug,
    vote: OwnVote,
    /// Over all time.
    counts: Tally,
}

/// Which ranking.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    /// When the votes were cast: at any time, or in the current month, week (from Monday) or day, in UTC.
    #[serde(default)]
    #[param(inline)]
    period: Period,
    /// How many models at the most; 20 unless told.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
}

/// The models by their score, the best first.
#[derive(Serialize, ToSchema)]
pub(super) struct Ranking {
    period: Period,
    items: Vec<RankedModel>,
}

/// `GET /api/models`
pub(super) async fn list(app: web::Data<App>, page: Query<Page>) -> Result<Json<Listed<Model>>, ApiError> {
    let limit = page.0.limit()?;
    let cursors = Cursors::of(&app, "/api/models").await?;
    let after: Option<Slug> = cursors.position(&page.0)?;
    let list = async |conn: &mut PgConnection| models::list(conn, after.as_ref(), limit + 1).await;
    let models = app.read(Reader::Anyone, list).await?;
    Ok(Json(cursors.listed(models, limit, |model| model.slug.clone())))
}

/// `GET /api/models/ranking`
pub(super) async fn ranking(
    app: web::Data<App>,
    caller: SignedIn,
    origin: Origin,
    query: Query<Which>,
) -> Result<WithCookie<Json<Ranking>>, ApiError> {
    let (period, limit) = (query.0.period, cursor::limit(query.0.limit)?);
    let rank = async |conn: &mut PgConnection| counts::ranking(conn, period, caller.user.id, limit).await;
    let items = app.read(caller.reader(), rank).await?;
    Ok(WithCookie { reply: Json(Ranking { period, items }), cookie: origin.into_cookie() })
}

/// `POST /api/models/{slug}/vote`: whether the vote counts or is held back, the answer does not tell.
pub(super) async fn vote(
    app: web::Data<App>,
    caller: SignedIn,
    origin: Origin,
    model: Named,
    body: Body<Vote>,
) -> Result<WithCookie<Json<Voted>>, ApiError> {
    let keys = app.trace_keys.today(&app.database).await?;
    let user = caller.user.id;
    let vote = NewVote { user, model: &model.0, ballot: body.value.value, trace: origin.trace(&keys) };
    let mut tx = app.database.begin().await?;
    let gathered = evidence::gather(&mut tx, &vote).await?.ok_or(ApiError::NotFound)?;
    casting::cast(&mut tx, &vote, &gathered, &rules::judge(&gathered.evidence)).await?;
    let (vote, counts) = counts::standing(&mut tx, gathered.model, user).await?;
    tx.commit().await?;
    Ok(WithCookie { reply: Json(Voted { model: model.0, vote, counts }), cookie: origin.into_cookie() })
}
