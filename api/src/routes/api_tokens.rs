//! The caller's API tokens.

use std::collections::BTreeSet;

use actix_web::web;
use bellwork_shared::api_tokens::scopes::Scope;
use bellwork_shared::api_tokens::{self, ApiToken, Issue, MAX_LIFE, NewApiToken, Revocation};
use bellwork_shared::ids::ApiTokenId;
use bellwork_shared::tokens::Token;
use bellwork_shared::users::{DisplayName, Role};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::auth::caller::InSession;
use crate::cursor::{Cursors, Listed, Page};
use crate::error::ApiError;
use crate::input::{Body, Id, Query};
use crate::problem::InputError;
use crate::reply::{Created, Json, NoContent};

/// There are fewer scopes; a client may name one twice.
const MAX_SCOPES: usize = 32;

/// A token that is to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// What its owner calls it: 1 to 80 printable characters.
    #[schema(value_type = DisplayName)]
    name: String,
    /// What it may do, at least one thing.
    #[schema(min_items = 1, max_items = 32)]
    scopes: Vec<Scope>,
    /// When it ends, within a year.
    expires_at: DateTime<Utc>,
}

/// A token just made.
#[derive(Serialize, ToSchema)]
pub(super) struct Issued {
    #[serde(flatten)]
    about: ApiToken,
    /// The token itself; shown this once.
    token: String,
}

/// `GET /api/me/tokens`, the newest first
pub(super) async fn list(
    app: web::Data<App>,
    caller: InSession,
    page: Query<Page>,
) -> Result<Json<Listed<ApiToken>>, ApiError> {
    let limit = page.0.limit()?;
    let cursors = Cursors::of(&app, "/api/me/tokens").await?;
    let before: Option<ApiTokenId> = cursors.position(&page.0)?;
    let tokens = api_tokens::list(&mut *app.database.acquire().await?, caller.user.id, before, limit + 1).await?;
    Ok(Json(cursors.listed(tokens, limit, |token| token.id)))
}

/// `POST /api/me/tokens`
pub(super) async fn issue(
    app: web::Data<App>,
    caller: InSession,
    body: Body<Wanted>,
) -> Result<Created<Issued>, ApiError> {
    let (name, scopes) = checked(&body.value, caller.user.role, Utc::now())?;
    let expires_at = body.value.expires_at;
    let (user, session) = (caller.user.id, caller.session);
    let new = NewApiToken { user, session, name: name.as_str(), scopes: &scopes, expires_at };
    let token = Token::random();
    let mut tx = app.database.begin().await?;
    match api_tokens::insert(&mut tx, token, &new).await? {
        Issue::TooMany => Err(ApiError::Conflict("You have as many tokens as you may; revoke one first.")),
        Issue::SessionEnded => Err(ApiError::Unauthenticated),
        Issue::Issued(about) => {
            tx.commit().await?;
            Ok(Created { location: None, body: Issued { about, token: api_tokens::reveal(token) } })
        }
    }
}

/// `DELETE /api/me/tokens/{id}`
pub(super) async fn revoke(app: web::Data<App>, caller: InSession, id: Id<ApiTokenId>) -> Result<NoContent, ApiError> {
    match api_tokens::revoke(&mut *app.database.acquire().await?, caller.user.id, id.0).await? {
        Revocation::Unknown => Err(ApiError::NotFound),
        Revocation::Revoked => Ok(NoContent),
    }
}

/// The name and the scopes, each scope once.
fn checked(wanted: &Wanted, role: Role, now: DateTime<Utc>) -> Result<(DisplayName, Vec<Scope>), ApiError> {
    let mut errors = Vec::new();
    let name = DisplayName::parse(&wanted.name);
    if let Err(unusable) = &name {
        errors.push(InputError::at("/name", unusable.to_string()));
    }
    if !(1..=MAX_SCOPES).contains(&wanted.scopes.len()) {
        errors.push(InputError::at("/scopes", format!("A token has 1 to {MAX_SCOPES} scopes.")));
    }
    let usable = name.ok().filter(|_| errors.is_empty());
    errors.extend(misfits(wanted, role, now));
    match usable {
        None => Err(ApiError::Invalid(errors)),
        Some(_) if !errors.is_empty() => Err(ApiError::Unfitting(errors)),
        Some(name) => {
            let scopes: BTreeSet<_> = wanted.scopes.iter().copied().collect();
            Ok((name, scopes.into_iter().collect()))
        }
    }
}

/// What a token could have, but not of this caller or not now.
fn misfits(wanted: &Wanted, role: Role, now: DateTime<Utc>) -> Vec<InputError> {
    let mut errors = Vec::new();
    for (index, scope) in wanted.scopes.iter().enumerate().filter(|(_, scope)| !scope.is_for(role)) {
        errors
            .push(InputError::at(format!("/scopes/{index}"), format!("The scope {} is for operators.", scope.name())));
    }
    if wanted.expires_at <= now || wanted.expires_at > now + MAX_LIFE {
        let detail = format!("A token ends in the future, within {} days.", MAX_LIFE.num_days());
        errors.push(InputError::at("/expires_at", detail));
    }
    errors
}
