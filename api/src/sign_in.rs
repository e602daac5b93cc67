//! Signing in: a password under the throttle, a session, and the cookies by which a browser comes back.

use actix_web::HttpRequest;
use actix_web::cookie::Cookie;
use actix_web::http::header;
use anyhow::Context;
use bellwork_shared::ids::SessionId;
use bellwork_shared::sessions;
use bellwork_shared::tokens::Token;
use bellwork_shared::users::User;
use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;
use tracing::Instrument;
use utoipa::ToSchema;

use crate::app::App;
use crate::client::client_address;
use crate::cookies::{cookie, device, device_cookie};
use crate::error::ApiError;
use crate::passwords::Passwords;
use crate::reply::WithCookie;
use crate::throttle::{Attempt, Device, KnownBy, Throttle};

/// Bytes kept of a client's User-Agent.
const MAX_USER_AGENT: usize = 200;

/// A session just opened, or put under a new token.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Opened {
    /// Whose it is.
    pub(crate) user: User,
    /// What opens it; shown this once.
    pub(crate) token: String,
    /// When it ends by itself.
    pub(crate) expires_at: DateTime<Utc>,
}

/// A reply that tells of a session, with its cookie and the device's.
pub(crate) type SignedInReply<R> = WithCookie<WithCookie<R>>;

/// Who tries to sign in to `account`.
///
/// # Errors
/// If the installation has not been read yet and the database fails.
pub(crate) async fn attempt(app: &App, request: &HttpRequest, account: &str) -> Result<Attempt, ApiError> {
    let key = &app.installation().await?.cursor_key;
    let known_by = device(request, &app.config, key, account).map_or(KnownBy::Address, KnownBy::Device);
    Ok(Attempt { key: key.clone(), account: account.to_owned(), address: client_address(request), known_by })
}

/// Who has signed in to `account` and proves once more to know its password.
///
/// # Errors
/// If the installation has not been read yet and the database fails.
pub(crate) async fn attempt_in_session(
    app: &App,
    request: &HttpRequest,
    account: &str,
    session: SessionId,
) -> Result<Attempt, ApiError> {
    Ok(Attempt { known_by: KnownBy::Session(session), ..attempt(app, request, account).await? })
}

/// Whether a password is the account's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PasswordCheck {
    /// It is.
    Right,
    /// It is not, or there is no such account.
    Wrong,
}

/// Compares a password with the hash of the account's, or with nobody's in the same time.
///
/// # Errors
/// 429 if the attempt comes too early; 503 if too many passwords wait already.
pub(crate) async fn verify(
    app: &App,
    attempt: Attempt,
    password: String,
    stored: Option<String>,
) -> Result<PasswordCheck, ApiError> {
    check_to_the_end(&app.throttle, &app.passwords, attempt, password, stored).await
}

/// Goes on when the client goes away: a guess is charged whether its verdict is waited for or not, and a right password is
/// not.
///
/// # Errors
/// As [`verify`].
pub(crate) async fn check_to_the_end(
    throttle: &Throttle,
    passwords: &Passwords,
    attempt: Attempt,
    password: String,
    stored: Option<String>,
) -> Result<PasswordCheck, ApiError> {
    let check = check(throttle.clone(), passwords.clone(), attempt, password, stored);
    tokio::spawn(check.in_current_span()).await.context("checking a password")?
}

async fn check(
    throttle: Throttle,
    passwords: Passwords,
    attempt: Attempt,
    password: String,
    stored: Option<String>,
) -> Result<PasswordCheck, ApiError> {
    let charged = throttle.charge(&attempt).await?;
    match passwords.verify(password, stored).await {
        Ok(true) => {
            throttle.forgive(charged).await;
            Ok(PasswordCheck::Right)
        }
        Ok(false) => Ok(PasswordCheck::Wrong),
        Err(no_verdict) => {
            throttle.take_back(charged).await;
            Err(no_verdict)
        }
    }
}

/// Opens a session.
///
/// # Errors
/// If the database fails.
pub(crate) async fn open(
    conn: &mut PgConnection,
    app: &App,
    request: &HttpRequest,
    user: User,
) -> Result<(Opened, [Cookie<'static>; 2]), ApiError> {
    let token = Token::random();
    let session = sessions::insert(conn, user.id, token, user_agent(request), app.config.session_lifetime).await?;
    let cookies = cookies(app, request, token, &user.email).await?;
    Ok((Opened { user, token: token.reveal(), expires_at: session.expires_at }, cookies))
}

/// The cookies of a session of `account`: its own, and the one by which the device is known again.
///
/// # Errors
/// If the installation has not been read yet and the database fails.
pub(crate) async fn cookies(
    app: &App,
    request: &HttpRequest,
    token: Token,
    account: &str,
) -> Result<[Cookie<'static>; 2], ApiError> {
    Ok([cookie(&app.config, token), known_device(app, request, account).await?])
}

/// The cookie by which the device is known again that has proved to be the student's.
///
/// # Errors
/// If the installation has not been read yet and the database fails.
async fn known_device(app: &App, request: &HttpRequest, account: &str) -> Result<Cookie<'static>, ApiError> {
    let key = &app.installation().await?.cursor_key;
    let device = device(request, &app.config, key, account).unwrap_or_else(Device::random);
    Ok(device_cookie(&app.config, device, key, account))
}

/// The cookie of a new device, for who has forgotten the password and proved otherwise to be the student. What they have
/// tried before, by the device that they had and from this address, does not slow the new password.
///
/// # Errors
/// If the installation has not been read yet and the database fails.
pub(crate) async fn new_device(app: &App, request: &HttpRequest, account: &str) -> Result<Cookie<'static>, ApiError> {
    let attempt = attempt(app, request, account).await?;
    app.throttle.pardon(&attempt).await;
    Ok(device_cookie(&app.config, Device::random(), &attempt.key, account))
}

/// `reply` with both cookies.
pub(crate) fn with_cookies<R>(reply: R, [session, device]: [Cookie<'static>; 2]) -> SignedInReply<R> {
    WithCookie { reply: WithCookie { reply, cookie: session }, cookie: device }
}

fn user_agent(request: &HttpRequest) -> &str {
    let agent = request.headers().get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    // Header values that are text are ASCII, so any byte is a boundary.
    &agent[..agent.len().min(MAX_USER_AGENT)]
}
