//! One-time links that are mailed: to prove an address, and to choose a new password without the old one.

use std::sync::LazyLock;

use actix_web::{HttpRequest, web};
use bellwork_jobs::job::Job;
use bellwork_jobs::kinds::mail_link::{Link, MailLink};
use bellwork_jobs::kinds::request_password_reset::RequestPasswordReset;
use bellwork_jobs::submit::{Options, new_job};
use bellwork_shared::ids::{JobId, UserId};
use bellwork_shared::ledger::{self, NewJob};
use bellwork_shared::mailed_links::{self, Purpose};
use bellwork_shared::schemas::Text;
use bellwork_shared::tokens::Token;
use bellwork_shared::users::{self, Email, NewPassword, change};
use bellwork_shared::{api_tokens, sessions};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::auth::caller::InSession;
use crate::error::ApiError;
use crate::input::Body;
use crate::observe::trace_parent;
use crate::pages::Page;
use crate::reply::{Accepted, NoContent, WithCookie};
use crate::sign_in::new_device;

static VERIFICATION: LazyLock<Page> = LazyLock::new(|| Page::new(include_str!("../pages/verify_email.html")));
static RESET: LazyLock<Page> = LazyLock::new(|| Page::new(include_str!("../pages/reset_password.html")));

/// More characters than the token of a link has.
const MAX_TOKEN: usize = 100;

type LinkToken = Text<0, MAX_TOKEN>;

/// The token of a mailed link.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Verification {
    token: LinkToken,
}

/// Who has forgotten a password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Forgotten {
    #[schema(value_type = Email)]
    email: String,
}

/// The token of a mailed link, and the password that is to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Reset {
    token: LinkToken,
    #[schema(value_type = NewPassword)]
    new_password: String,
}

/// What becomes of a request whose outcome only a mailbox shows.
#[derive(Serialize, ToSchema)]
pub(super) struct Mailing {
    /// A sentence for people.
    detail: &'static str,
}

/// A job that does the rest.
#[derive(Serialize, ToSchema)]
pub(super) struct JobAccepted {
    pub(super) job_id: JobId,
}

/// `GET /api/auth/verify-email`: opening a link uses nothing up, since programs that look at mails open links too.
pub(super) async fn verification_page() -> Page {
    VERIFICATION.clone()
}

/// `GET /api/auth/reset-password`
pub(super) async fn reset_page() -> Page {
    RESET.clone()
}

/// `POST /api/auth/verify-email`
pub(super) async fn verify_email(app: web::Data<App>, body: Body<Verification>) -> Result<NoContent, ApiError> {
    let token = Token::parse(body.value.token.as_str()).ok_or_else(void)?;
    let mut tx = app.database.begin().await?;
    let user = mailed_links::use_up(&mut tx, Purpose::VerifyEmail, token).await?.ok_or_else(void)?;
    change::verify_email(&mut tx, user).await?;
    tx.commit().await?;
    Ok(NoContent)
}

/// `POST /api/me/verification`
pub(super) async fn send_verification(
    app: web::Data<App>,
    caller: InSession,
    request: HttpRequest,
) -> Result<Accepted<JobAccepted>, ApiError> {
    let user = users::find(&mut *app.database.acquire().await?, caller.user.id).await?;
    if user.ok_or(ApiError::Unauthenticated)?.email_verified {
        return Err(ApiError::Conflict("The address is verified already."));
    }
    let job = job(&MailLink { user_id: caller.user.id, link: Link::VerifyEmail }, caller.user.id, &request);
    accept(&app, &job).await?;
    Ok(Accepted { location: format!("/api/jobs/{}", job.id), body: JobAccepted { job_id: job.id } })
}

/// `POST /api/auth/forgot-password`: nothing is looked up here. A job does, so that a known and an unknown address get the
/// same answer after the same work.
pub(super) async fn forgot_password(
    app: web::Data<App>,
    request: HttpRequest,
    body: Body<Forgotten>,
) -> Result<Accepted<Mailing>, ApiError> {
    let email = Email::parse(&body.value.email);
    let email = email.map_err(|unusable| ApiError::invalid("/email", unusable.to_string()))?;
    let options = Options { trace_parent: Some(trace_parent(&request)), ..Options::default() };
    accept(&app, &new_job(&RequestPasswordReset { email: Some(email.as_str().to_owned()) }, options)).await?;
    let detail = "If the address is registered, a mail with a link is on its way.";
    Ok(Accepted { location: "/api/auth/reset-password".to_owned(), body: Mailing { detail } })
}

/// `POST /api/auth/reset-password`: who reads the mailbox is the student. Whoever else was signed in is not any more, nor
/// are programs that they may have let in.
pub(super) async fn reset_password(
    app: web::Data<App>,
    request: HttpRequest,
    body: Body<Reset>,
) -> Result<WithCookie<NoContent>, ApiError> {
    let password = NewPassword::parse(&body.value.new_password);
    let password = password.map_err(|unusable| ApiError::invalid("/new_password", unusable.to_string()))?;
    let token = Token::parse(body.value.token.as_str()).ok_or_else(void)?;
    if !mailed_links::is_good(&mut *app.database.acquire().await?, Purpose::ResetPassword, token).await? {
        return Err(void());
    }
    let hash = app.passwords.hash(password.as_str().to_owned()).await?;
    let mut tx = app.database.begin().await?;
    let user = mailed_links::use_up(&mut tx, Purpose::ResetPassword, token).await?.ok_or_else(void)?;
    let email = change::reset_password(&mut tx, user, &hash).await?;
    let held = app.caches.hold_sessions(&mut tx, user).await?;
    let ended = sessions::end_all(&mut tx, user).await?;
    api_tokens::revoke_all(&mut tx, user).await?;
    tx.commit().await?;
    held.release().await;
    app.hub.end_sessions(user, ended);
    Ok(WithCookie { reply: NoContent, cookie: new_device(&app, &request, &email).await? })
}

fn void() -> ApiError {
    ApiError::missing("/token", "This link is void: it was used, replaced by a newer one, or is too old.")
}

/// A job on behalf of `user`.
pub(super) fn job<J: Job>(job: &J, user: UserId, request: &HttpRequest) -> NewJob {
    let trace_parent = Some(trace_parent(request));
    new_job(job, Options { submitter: Some(user), trace_parent, ..Options::default() })
}

async fn accept(app: &App, job: &NewJob) -> Result<(), ApiError> {
    let mut tx = app.database.begin().await?;
    ledger::insert(&mut tx, std::slice::from_ref(job)).await?;
    tx.commit().await?;
    app.push(std::slice::from_ref(job)).await;
    Ok(())
}
