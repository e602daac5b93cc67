//! Who is asking, and whether they may: sessions by bearer token or cookie, and the gate before each route.

use std::sync::Arc;

use actix_web::body::BoxBody;
use actix_web::cookie::{Cookie, SameSite, time};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap};
use actix_web::middleware::Next;
use actix_web::{Error, FromRequest, HttpMessage, HttpRequest, web};
use bellwork_shared::config::http::HttpConfig;
use bellwork_shared::reading::Reader;
use bellwork_shared::sessions::{self, Token};
use bellwork_shared::users::Role;
use futures_util::future::{Ready, ready};
use url::Url;

use crate::app::App;
use crate::describe::Parameters;
use crate::error::ApiError;
use crate::limits::{self, Limit};

/// Who may use a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Anybody.
    Anyone,
    /// Who is signed in.
    SignedIn,
    /// Operators.
    Admins,
}

/// Lets a request through to its handler, or not. What the handler may learn of the caller is put into the request.
///
/// # Errors
/// 401, 403, 429, or 422 for a query that nobody reads.
pub(crate) async fn admit(
    access: Access,
    parameters: Parameters,
    limit: Limit,
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let admitted = match access {
        Access::Anyone => limits::count(request.request(), limit, None).await.map(|()| None),
        _ => identify(request.request(), access, limit).await.map(Some),
    };
    match admitted.and_then(|caller| read_query(request.request(), parameters).map(|()| caller)) {
        Ok(None) => next.call(request).await,
        Ok(Some(caller)) => {
            let (user, may_write) = (caller.user.id, !request.method().is_safe());
            request.extensions_mut().insert(caller);
            let answer = next.call(request).await?;
            if may_write && !answer.status().is_client_error() {
                state(answer.request()).reading.wrote(user).await;
            }
            Ok(answer)
        }
        Err(error) => Ok(request.error_response(error)),
    }
}

/// Unknown parameters are refused like unknown fields.
fn read_query(request: &HttpRequest, taken: Parameters) -> Result<(), ApiError> {
    let mut parameters = url::form_urlencoded::parse(request.query_string().as_bytes());
    match parameters.next() {
        Some((name, _)) if taken == Parameters::None => {
            Err(ApiError::invalid(format!("/{name}"), "This path takes no such parameter."))
        }
        _ => Ok(()),
    }
}

/// The caller, whose request is counted. Those of strangers are counted by address, so that guessing tokens ends soon.
async fn identify(request: &HttpRequest, access: Access, limit: Limit) -> Result<SignedIn, ApiError> {
    limits::check_stranger(request)?;
    match authenticate(request, access).await {
        Ok(caller) => {
            limits::count(request, limit, Some(caller.user.id)).await?;
            Ok(caller)
        }
        Err(refused @ (ApiError::Unauthenticated | ApiError::Forbidden(_))) => {
            limits::count_stranger(request).await?;
            Err(refused)
        }
        Err(error) => Err(error),
    }
}

fn state(request: &HttpRequest) -> &web::Data<App> {
    request.app_data::<web::Data<App>>().expect("the application's state is registered at its start")
}

async fn authenticate(request: &HttpRequest, access: Access) -> Result<SignedIn, ApiError> {
    let app = state(request);
    let token = token(request, &app.config)?.ok_or(ApiError::Unauthenticated)?;
    let mut conn = app.database.acquire().await?;
    let caller = sessions::authenticate(&mut conn, token).await?.ok_or(ApiError::Unauthenticated)?;
    if access == Access::Admins && caller.user.role != Role::Admin {
        return Err(ApiError::Forbidden("This is for operators."));
    }
    Ok(SignedIn(Arc::new(caller)))
}

/// The caller, as the gate found them.
#[derive(Clone, Debug)]
pub(crate) struct SignedIn(Arc<sessions::SignedIn>);

impl SignedIn {
    /// Who reads: nothing older than what the caller has written.
    #[must_use]
    pub(crate) fn reader(&self) -> Reader {
        Reader::User(self.user.id)
    }
}

impl std::ops::Deref for SignedIn {
    type Target = sessions::SignedIn;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

/// On a route that the table opens to anyone there is no caller, and a handler that asks for one refuses everybody.
impl FromRequest for SignedIn {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(request.extensions().get::<Self>().cloned().ok_or(ApiError::Unauthenticated))
    }
}

/// The token of the request. A bearer token wins; a cookie counts only where no other site can have sent it.
fn token(request: &HttpRequest, config: &HttpConfig) -> Result<Option<Token>, ApiError> {
    if let Some(authorization) = request.headers().get(header::AUTHORIZATION) {
        return Ok(authorization.to_str().ok().and_then(bearer).and_then(Token::parse));
    }
    let Some(cookie) = request.cookie(cookie_name(config)) else { return Ok(None) };
    if !request.method().is_safe() && is_foreign(request.headers(), &config.public_url) {
        return Err(ApiError::Forbidden("This request comes from another site."));
    }
    Ok(Token::parse(cookie.value()))
}

/// The token of an `Authorization` header of the scheme Bearer.
#[must_use]
pub(crate) fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// True if a browser says that another site made the request.
fn is_foreign(headers: &HeaderMap, public_url: &Url) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if text("sec-fetch-site") == Some("cross-site") {
        return true;
    }
    let Some(origin) = text("origin") else { return false };
    let Ok(origin) = Url::parse(origin) else { return true };
    let ours = origin.origin() == public_url.origin();
    let same_host =
        text("host").is_some_and(|host| host == &origin[url::Position::BeforeHost..url::Position::AfterPort]);
    !(ours || same_host)
}

/// What the cookie of a session is called.
#[must_use]
pub(crate) fn cookie_name(config: &HttpConfig) -> &'static str {
    if is_https(config) { "__Host-bellwork_session" } else { "bellwork_session" }
}

fn is_https(config: &HttpConfig) -> bool {
    config.public_url.scheme() == "https"
}

/// The cookie of a session just opened.
#[must_use]
pub(crate) fn cookie(config: &HttpConfig, token: Token) -> Cookie<'static> {
    let seconds = i64::try_from(config.session_lifetime.as_secs()).unwrap_or(i64::MAX);
    bare_cookie(config, token.reveal(), time::Duration::seconds(seconds))
}

/// The cookie that makes a browser forget its session.
#[must_use]
pub(crate) fn expired_cookie(config: &HttpConfig) -> Cookie<'static> {
    bare_cookie(config, String::new(), time::Duration::ZERO)
}

fn bare_cookie(config: &HttpConfig, value: String, max_age: time::Duration) -> Cookie<'static> {
    Cookie::build(cookie_name(config), value)
        .path("/")
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(is_https(config))
        .max_age(max_age)
        .finish()
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn foreign(pairs: &[(&'static str, &'static str)]) -> bool {
        let headers =
            pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        is_foreign(&headers.collect(), &Url::parse("https://bellwork.example").unwrap())
    }

    #[test]
    fn another_site_is_told_by_either_header() {
        assert!(foreign(&[("sec-fetch-site", "cross-site")]));
        assert!(foreign(&[("origin", "https://evil.example")]));
        assert!(foreign(&[("origin", "null")]));
        assert!(foreign(&[("origin", "http://bellwork.example"), ("host", "bellwork.example:443")]));
        assert!(!foreign(&[]));
        assert!(!foreign(&[("sec-fetch-site", "same-origin"), ("origin", "https://bellwork.example")]));
        assert!(!foreign(&[("origin", "http://127.0.0.1:8080"), ("host", "127.0.0.1:8080")]));
    }
}
