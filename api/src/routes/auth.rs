//! Registering, signing in and signing out.

use actix_web::http::header;
use actix_web::{HttpRequest, web};
use bellwork_shared::sessions::{self, Token};
use bellwork_shared::users::{self, DisplayName, Email, NewPassword, NewUser, Registration, Role, User};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::auth::{SignedIn, cookie, expired_cookie};
use crate::error::{ApiError, InputError};
use crate::input::Body;
use crate::reply::{Created, Json, NoContent, WithCookie};

/// So much of a client's account of itself is kept.
const MAX_USER_AGENT: usize = 200;

/// Who registers.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Register {
    email: String,
    password: String,
    display_name: String,
}

/// Who signs in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Login {
    email: String,
    password: String,
}

/// A session just opened.
#[derive(Serialize, ToSchema)]
pub(super) struct Opened {
    user: User,
    token: String,
    expires_at: DateTime<Utc>,
}

/// `POST /api/auth/register`
pub(super) async fn register(
    app: web::Data<App>,
    request: HttpRequest,
    body: Body<Register>,
) -> Result<WithCookie<Created<Opened>>, ApiError> {
    let (email, display_name, password) = checked(&body.value)?;
    let password_hash = app.passwords.hash(password.as_str().to_owned()).await?;
    let new =
        NewUser { email: &email, display_name: &display_name, role: Role::Student, password_hash: &password_hash };
    let mut tx = app.database.begin().await?;
    let Registration::New(user) = users::insert(&mut tx, &new).await? else { return Err(ApiError::EmailTaken) };
    let token = Token::random();
    let session = sessions::insert(&mut tx, user.id, token, user_agent(&request), app.config.session_lifetime).await?;
    tx.commit().await?;
    let body = Opened { user, token: token.reveal(), expires_at: session.expires_at };
    Ok(WithCookie { reply: Created { location: None, body }, cookie: cookie(&app.config, token) })
}

/// `POST /api/auth/login`
pub(super) async fn login(
    app: web::Data<App>,
    request: HttpRequest,
    body: Body<Login>,
) -> Result<WithCookie<Json<Opened>>, ApiError> {
    let login = body.value;
    let known = match Email::parse(&login.email) {
        Ok(email) => users::find_with_password(&mut *app.database.acquire().await?, &email).await?,
        Err(_) => None,
    };
    let (user, stored) = known.unzip();
    // The connection is back in its pool: hashing takes long, and the pool is for short work.
    let verified = app.passwords.verify(login.password, stored).await?;
    let Some(user) = user.filter(|_| verified) else { return Err(ApiError::WrongCredentials) };
    let token = Token::random();
    let mut conn = app.database.acquire().await?;
    let session =
        sessions::insert(&mut conn, user.id, token, user_agent(&request), app.config.session_lifetime).await?;
    let body = Opened { user, token: token.reveal(), expires_at: session.expires_at };
    Ok(WithCookie { reply: Json(body), cookie: cookie(&app.config, token) })
}

/// `POST /api/auth/logout`
pub(super) async fn logout(app: web::Data<App>, caller: SignedIn) -> Result<WithCookie<NoContent>, ApiError> {
    sessions::end(&mut *app.database.acquire().await?, caller.user.id, caller.session).await?;
    app.hub.end_session(caller.user.id, caller.session);
    Ok(WithCookie { reply: NoContent, cookie: expired_cookie(&app.config) })
}

fn checked(register: &Register) -> Result<(Email, DisplayName, NewPassword), ApiError> {
    let email = Email::parse(&register.email);
    let display_name = DisplayName::parse(&register.display_name);
    let password = NewPassword::parse(&register.password);
    if let (Ok(email), Ok(display_name), Ok(password)) = (&email, &display_name, &password) {
        return Ok((email.clone(), display_name.clone(), password.clone()));
    }
    let failures =
        [("/email", email.err()), ("/password", password.err()), ("/display_name", display_name.err())].into_iter();
    let errors = failures.filter_map(|(pointer, failure)| Some(InputError::at(pointer, failure?.to_string())));
    Err(ApiError::Invalid(errors.collect()))
}

fn user_agent(request: &HttpRequest) -> &str {
    let agent = request.headers().get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    // Header values that are text are ASCII, so any byte is a boundary.
    &agent[..agent.len().min(MAX_USER_AGENT)]
}
