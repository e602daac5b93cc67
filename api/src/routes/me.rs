//! The caller: the profile, the password, the end.

use actix_web::{HttpRequest, web};
use bellwork_shared::cache::Scope;
use bellwork_shared::database::gave_way;
use bellwork_shared::ids::SessionId;
use bellwork_shared::mailed_links::{self, Purpose};
use bellwork_shared::personal_data::erasure::{self, Presence};
use bellwork_shared::sessions;
use bellwork_shared::tokens::Token;
use bellwork_shared::users::change::{self, PasswordChange};
use bellwork_shared::users::{self, DisplayName, NewPassword, User};
use serde::Deserialize;
use utoipa::ToSchema;

use super::auth::AnyPassword;
use crate::app::App;
use crate::auth::caller::{InSession, SignedIn};
use crate::caches::Caches;
use crate::cookies::expired_cookie;
use crate::error::ApiError;
use crate::input::Body;
use crate::reply::{Json, NoContent, WithCookie};
use crate::sign_in::{self, Opened, PasswordCheck, SignedInReply, with_cookies};

/// How often an erasure is begun that had to give way to another transaction.
const ERASURES: u32 = 3;

/// What the caller changes of the profile.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Changes {
    #[schema(value_type = DisplayName)]
    display_name: String,
}

/// The password that is, and the one that is to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewSecret {
    current_password: AnyPassword,
    #[schema(value_type = NewPassword)]
    new_password: String,
}

/// The proof that it is the caller who wants to be erased.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Farewell {
    password: AnyPassword,
}

/// `GET /api/me`
pub(super) async fn profile(app: web::Data<App>, caller: SignedIn) -> Result<Json<User>, ApiError> {
    let user = users::find(&mut *app.database.acquire().await?, caller.user.id).await?;
    user.map(Json).ok_or(ApiError::Unauthenticated)
}

/// `PATCH /api/me`
pub(super) async fn rename(
    app: web::Data<App>,
    caller: InSession,
    body: Body<Changes>,
) -> Result<Json<User>, ApiError> {
    let name = DisplayName::parse(&body.value.display_name);
    let name = name.map_err(|unusable| ApiError::invalid("/display_name", unusable.to_string()))?;
    let mut conn = app.database.acquire().await?;
    let renamed = change::rename(&mut conn, caller.user.id, &name).await?;
    let boards = Caches::boards_of(&mut conn, caller.user.id).await?;
    app.caches.forget(&boards).await;
    renamed.map(Json).ok_or(ApiError::Unauthenticated)
}

/// `POST /api/me/password`: this session goes on under a new token, as after signing in; whoever else holds one of the
/// caller's is out.
pub(super) async fn change_password(
    app: web::Data<App>,
    caller: InSession,
    request: HttpRequest,
    body: Body<NewSecret>,
) -> Result<SignedInReply<Json<Opened>>, ApiError> {
    let NewSecret { current_password, new_password } = body.value;
    let new_password = NewPassword::parse(&new_password);
    let new_password = new_password.map_err(|unusable| ApiError::invalid("/new_password", unusable.to_string()))?;
    let (user, old_hash) = proved(&app, &caller, &request, &current_password, "/current_password").await?;
    let new_hash = app.passwords.hash(new_password.as_str().to_owned()).await?;
    let token = Token::random();

    let mut tx = app.database.begin().await?;
    if change::replace_password(&mut tx, user.id, &old_hash, &new_hash).await? == PasswordChange::Outrun {
        return Err(ApiError::Conflict("The password was changed at the same time."));
    }
    let held = app.caches.hold_sessions(&mut tx, user.id).await?;
    let ended = sessions::end_others(&mut tx, user.id, caller.session).await?;
    let expires_at = sessions::renew(&mut tx, caller.session, token).await?.ok_or(ApiError::Unauthenticated)?;
    mailed_links::void(&mut tx, user.id, Purpose::ResetPassword).await?;
    tx.commit().await?;
    held.release().await;

    app.hub.end_sessions(user.id, ended);
    let cookies = sign_in::cookies(&app, &request, token, &user.email).await?;
    Ok(with_cookies(Json(Opened { user, token: token.reveal(), expires_at }), cookies))
}

/// `DELETE /api/me`
pub(super) async fn erase(
    app: web::Data<App>,
    caller: InSession,
    request: HttpRequest,
    body: Body<Farewell>,
) -> Result<WithCookie<NoContent>, ApiError> {
    proved(&app, &caller, &request, &body.value.password, "/password").await?;
    let mut tries = ERASURES;
    let ended = loop {
        tries -= 1;
        match erase_now(&app, &caller).await {
            Err(error) if tries > 0 && gave_way(&error) => tracing::info!(%error, "an erasure begins again"),
            ended => break ended?.ok_or(ApiError::Unauthenticated)?,
        }
    };
    app.hub.end_sessions(caller.user.id, ended);
    Ok(WithCookie { reply: NoContent, cookie: expired_cookie(&app.config) })
}

/// The sessions that have ended with their user; nothing if the user is gone, or the session that asks.
async fn erase_now(app: &App, caller: &InSession) -> sqlx::Result<Option<Vec<SessionId>>> {
    let user = caller.user.id;
    let mut tx = app.database.begin().await?;
    // Before anything else, so that nobody signs in meanwhile, nor waits for what this holds and holds what this needs.
    if erasure::take(&mut tx, user).await? == Presence::Gone {
        return Ok(None);
    }
    let held = app.caches.hold_sessions(&mut tx, user).await?;
    let mut outdated = Caches::boards_of(&mut tx, user).await?;
    outdated.push(Scope::Notifications(user));
    let ended = sessions::end_all(&mut tx, user).await?;
    if !ended.contains(&caller.session) {
        return Ok(None);
    }
    erasure::erase(&mut tx, user).await?;
    tx.commit().await?;
    held.release().await;
    app.caches.forget(&outdated).await;
    Ok(Some(ended))
}

/// The caller and the hash of their password, if they have proved to know it: a session left open on a school's computer shall not
/// be enough.
async fn proved(
    app: &App,
    caller: &InSession,
    request: &HttpRequest,
    password: &AnyPassword,
    pointer: &'static str,
) -> Result<(User, String), ApiError> {
    let mut conn = app.database.acquire().await?;
    let user = users::find(&mut conn, caller.user.id).await?.ok_or(ApiError::Unauthenticated)?;
    let stored = change::password_hash(&mut conn, user.id).await?.ok_or(ApiError::Unauthenticated)?;
    drop(conn);
    let attempt = sign_in::attempt_in_session(app, request, &user.email, caller.session).await?;
    match sign_in::verify(app, attempt, password.as_str().to_owned(), Some(stored.clone())).await? {
        PasswordCheck::Right => Ok((user, stored)),
        PasswordCheck::Wrong => Err(ApiError::NotYourPassword(pointer)),
    }
}
