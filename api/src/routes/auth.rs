//! Registering, signing in and signing out.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use bellwork_shared::sessions::{self, Token};
use bellwork_shared::users::{self, DisplayName, Email, NewPassword, NewUser, Registration, Role, User};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::auth::{SignedIn, cookie, expired_cookie};
use crate::error::{ApiError, InputError};
use crate::input::Body;

/// So much of a client's account of itself is kept.
const MAX_USER_AGENT: usize = 200;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Register {
    email: String,
    password: String,
    display_name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Login {
    email: String,
    password: String,
}

#[derive(Serialize)]
struct Opened {
    user: User,
    token: String,
    expires_at: DateTime<Utc>,
}

/// `POST /api/auth/register`
pub(super) async fn register(app: web::Data<App>, request: HttpRequest, body: Body) -> Result<HttpResponse, ApiError> {
    let (email, display_name, password) = checked(&body.parse()?)?;
    let password_hash = app.passwords.hash(password.as_str().to_owned()).await?;
    let new =
        NewUser { email: &email, display_name: &display_name, role: Role::Student, password_hash: &password_hash };
    let mut tx = app.database.begin().await?;
    let Registration::New(user) = users::insert(&mut tx, &new).await? else { return Err(ApiError::EmailTaken) };
    let token = Token::random();
    let session = sessions::insert(&mut tx, user.id, token, user_agent(&request), app.config.session_lifetime).await?;
    tx.commit().await?;
    Ok(opened(&app, StatusCode::CREATED, user, token, session.expires_at))
}

/// `POST /api/auth/login`
pub(super) async fn login(app: web::Data<App>, request: HttpRequest, body: Body) -> Result<HttpResponse, ApiError> {
    let login: Login = body.parse()?;
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
    Ok(opened(&app, StatusCode::OK, user, token, session.expires_at))
}

/// `POST /api/auth/logout`
pub(super) async fn logout(app: web::Data<App>, caller: SignedIn) -> Result<HttpResponse, ApiError> {
    sessions::end(&mut *app.database.acquire().await?, caller.user.id, caller.session).await?;
    app.hub.end_session(caller.user.id, caller.session);
    Ok(HttpResponse::NoContent().cookie(expired_cookie(&app.config)).finish())
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

fn opened(app: &App, status: StatusCode, user: User, token: Token, expires_at: DateTime<Utc>) -> HttpResponse {
    let body = Opened { user, token: token.reveal(), expires_at };
    HttpResponse::build(status).cookie(cookie(&app.config, token)).json(body)
}
