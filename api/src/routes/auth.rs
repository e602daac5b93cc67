//! Registering, signing in and signing out.

use actix_web::{HttpRequest, web};
use bellwork_jobs::kinds::mail_link::{Link, MailLink};
use bellwork_shared::rate_limit::policies;
use bellwork_shared::schemas::Text;
use bellwork_shared::users::change::{self, PasswordChange};
use bellwork_shared::users::{
    self, DisplayName, Email, MAX_EMAIL, MAX_PASSWORD, NewPassword, NewUser, Registration, Role, User,
};
use bellwork_shared::{ledger, passwords, sessions};
use serde::Deserialize;
use utoipa::ToSchema;

use super::links;
use crate::app::App;
use crate::auth::caller::InSession;
use crate::cookies::expired_cookie;
use crate::error::ApiError;
use crate::input::Body;
use crate::limits;
use crate::problem::InputError;
use crate::reply::{Created, Json, NoContent, WithCookie};
use crate::sign_in::{self, Opened, PasswordCheck, SignedInReply, with_cookies};

/// Who registers.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Register {
    #[schema(value_type = Email)]
    email: String,
    #[schema(value_type = NewPassword)]
    password: String,
    #[schema(value_type = DisplayName)]
    display_name: String,
}

/// Who signs in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Login {
    email: AnyEmail,
    password: AnyPassword,
}

/// What somebody claims to be registered.
type AnyEmail = Text<0, MAX_EMAIL>;
/// A password that somebody claims to know.
pub(super) type AnyPassword = Text<0, MAX_PASSWORD>;

/// `POST /api/auth/register`: the account, its first session, and the job that mails the link are one.
pub(super) async fn register(
    app: web::Data<App>,
    request: HttpRequest,
    body: Body<Register>,
) -> Result<SignedInReply<Created<Opened>>, ApiError> {
    let (email, display_name, password) = checked(&body.value)?;
    let attempt = sign_in::attempt(&app, &request, email.as_str()).await?;
    app.throttle.ask_address(&attempt).await?;
    let password_hash = app.passwords.hash(password.as_str().to_owned()).await?;
    let new =
        NewUser { email: &email, display_name: &display_name, role: Role::Student, password_hash: &password_hash };
    let mut tx = app.database.begin().await?;
    let Registration::New(user) = users::insert(&mut tx, &new).await? else {
        tx.rollback().await?;
        app.throttle.charge_address(&attempt).await;
        return Err(ApiError::EmailTaken);
    };
    let mail = links::job(&MailLink { user_id: user.id, link: Link::VerifyEmail }, user.id, &request);
    let (opened, cookies) = sign_in::open(&mut tx, &app, &request, user).await?;
    ledger::insert(&mut tx, std::slice::from_ref(&mail)).await?;
    tx.commit().await?;
    app.push(std::slice::from_ref(&mail)).await;
    Ok(with_cookies(Created { location: None, body: opened }, cookies))
}

/// `POST /api/auth/login`
pub(super) async fn login(
    app: web::Data<App>,
    request: HttpRequest,
    body: Body<Login>,
) -> Result<SignedInReply<Json<Opened>>, ApiError> {
    let (email, password) = (body.value.email.as_str(), body.value.password.as_str().to_owned());
    limits::count_account(&request, &policies::LOGIN, email).await?;
    let attempt = sign_in::attempt(&app, &request, email).await?;
    let known = match Email::parse(email) {
        Ok(email) => users::find_with_password(&mut *app.database.acquire().await?, &email).await?,
        Err(_) => None,
    };
    let (user, stored) = known.unzip();
    // The connection is back in its pool: hashing takes long, and the pool is for short work.
    let check = sign_in::verify(&app, attempt, password.clone(), stored.clone()).await?;
    let (Some(user), Some(stored), PasswordCheck::Right) = (user, stored, check) else {
        return Err(ApiError::WrongCredentials);
    };
    let known = renew_hash(&app, &user, password, stored).await?.ok_or(ApiError::WrongCredentials)?;
    let mut tx = app.database.begin().await?;
    // Who changes a password ends the sessions that are there: this one is there before, or is not opened.
    if change::hold_password_hash(&mut tx, user.id).await? != Some(known) {
        return Err(ApiError::WrongCredentials);
    }
    let (opened, cookies) = sign_in::open(&mut tx, &app, &request, user).await?;
    tx.commit().await?;
    Ok(with_cookies(Json(opened), cookies))
}

/// `POST /api/auth/logout`
pub(super) async fn logout(app: web::Data<App>, caller: InSession) -> Result<WithCookie<NoContent>, ApiError> {
    let mut conn = app.database.acquire().await?;
    let held = app.caches.hold_sessions(&mut conn, caller.user.id).await?;
    sessions::end(&mut conn, caller.user.id, caller.session).await?;
    held.release().await;
    app.hub.end_session(caller.user.id, caller.session);
    Ok(WithCookie { reply: NoContent, cookie: expired_cookie(&app.config) })
}

/// The hash that `password` is known to match: `stored`, or a new one if that was made under older settings, since only now
/// the password is known. Nothing if the password was changed meanwhile.
async fn renew_hash(app: &App, user: &User, password: String, stored: String) -> Result<Option<String>, ApiError> {
    if !passwords::is_outdated(&stored) {
        return Ok(Some(stored));
    }
    let new = app.passwords.hash(password.clone()).await?;
    let mut conn = app.database.acquire().await?;
    if change::replace_password(&mut conn, user.id, &stored, &new).await? == PasswordChange::Changed {
        return Ok(Some(new));
    }
    // Another login has renewed the hash, or somebody has changed the password.
    let Some(current) = change::password_hash(&mut conn, user.id).await? else { return Ok(None) };
    drop(conn);
    let is_right = app.passwords.verify(password, Some(current.clone())).await?;
    Ok(is_right.then_some(current))
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
