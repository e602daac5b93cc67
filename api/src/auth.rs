//! Who is asking, and whether they may: sessions by bearer token or cookie, and the gate before each route.

pub(crate) mod caller;

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest, web};
use bellwork_shared::api_tokens::scopes::Scope;
use bellwork_shared::config::http::HttpConfig;
use bellwork_shared::ids::SessionId;
use bellwork_shared::sessions::Identity;
use bellwork_shared::tokens::Token;
use bellwork_shared::users::Role;
use bellwork_shared::{api_tokens, cache, sessions};
use chrono::{DateTime, Utc};
use url::Url;

use self::caller::{Caller, Credential, SignedIn};
use crate::app::App;
use crate::cookies::cookie_name;
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

/// What stands before a route.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gate {
    /// Who may use it.
    pub(crate) access: Access,
    /// Whether its handler reads the query.
    pub(crate) parameters: Parameters,
    /// What an API token needs; none: a session is needed.
    pub(crate) scope: Option<Scope>,
    /// How often it may be asked.
    pub(crate) limit: Limit,
}

impl Gate {
    fn must_let_through(self, caller: &Caller) -> Result<(), ApiError> {
        let is_session = matches!(caller.credential, Credential::Session { .. });
        if !is_session && !self.scope.is_some_and(|scope| caller.may(scope)) {
            return Err(ApiError::OutOfScope(self.scope));
        }
        match self.access {
            Access::Admins if caller.user.role != Role::Admin => Err(ApiError::Forbidden("This is for operators.")),
            _ => Ok(()),
        }
    }
}

/// Lets a request through to its handler, or not. What the handler may learn of the caller is put into the request.
///
/// # Errors
/// 401, 403, 429, or 422 for a query that nobody reads.
pub(crate) async fn admit(
    gate: Gate,
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let admitted = match gate.access {
        Access::Anyone => open_to_anyone(request.request(), gate.limit).await.map(|()| None),
        _ => identify(request.request(), gate).await.map(Some),
    };
    match admitted.and_then(|caller| read_query(request.request(), gate.parameters).map(|()| caller)) {
        Ok(None) => next.call(request).await,
        Ok(Some(caller)) => {
            let (user, may_write) = (caller.user.id, !request.method().is_safe());
            request.extensions_mut().insert(caller);
            let answer = next.call(request).await?;
            if may_write && !answer.status().is_client_error() {
                Box::pin(state(answer.request()).reading.wrote(user)).await;
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

async fn open_to_anyone(request: &HttpRequest, limit: Limit) -> Result<(), ApiError> {
    refuse_foreign(request)?;
    limits::count(request, limit, None).await
}

/// The caller, whose request is counted. Without proof it is the address's, and costs no look at a store.
async fn identify(request: &HttpRequest, gate: Gate) -> Result<SignedIn, ApiError> {
    match proof(request, &state(request).config) {
        Ok(Some(proof)) => {
            let caller = authenticate(request, proof).await?;
            limits::count(request, gate.limit, Some(caller.user.id)).await?;
            gate.must_let_through(&caller)?;
            Ok(SignedIn(caller))
        }
        nobody => {
            limits::count(request, Limit::Usual, None).await?;
            Err(nobody.err().unwrap_or(ApiError::Unauthenticated))
        }
    }
}

fn state(request: &HttpRequest) -> &web::Data<App> {
    request.app_data::<web::Data<App>>().expect("the application's state is registered at its start")
}

/// What a request brings to prove who sends it.
#[derive(Clone, Copy)]
enum Proof {
    Session(Token),
    ApiToken(Token),
}

/// Whose proof it is.
async fn authenticate(request: &HttpRequest, proof: Proof) -> Result<Caller, ApiError> {
    let (app, now) = (state(request), Utc::now());
    if let Proof::Session(token) = proof
        && let Some(session) = app.caches.session_at_hand(&app.database, token, now)
    {
        return in_session(app, token, session, now).await;
    }
    Box::pin(look_for(request, proof)).await
}

/// Looks in the stores. Proofs of nobody are counted by address, so that guessing ends soon; whoever this process knows
/// was let in before, since others share the address.
async fn look_for(request: &HttpRequest, proof: Proof) -> Result<Caller, ApiError> {
    limits::check_stranger(request)?;
    let app = state(request);
    let caller = match proof {
        Proof::Session(token) => by_session(app, token).await,
        Proof::ApiToken(token) => by_api_token(app, token).await,
    };
    if let Err(ApiError::Unauthenticated) = caller {
        limits::count_stranger(request).await?;
    }
    caller
}

async fn by_session(app: &App, token: Token) -> Result<Caller, ApiError> {
    let session = app.caches.session(&app.database, token).await?.ok_or(ApiError::Unauthenticated)?;
    in_session(app, token, session, Utc::now()).await
}

async fn in_session(
    app: &App,
    token: Token,
    session: sessions::SignedIn,
    now: DateTime<Utc>,
) -> Result<Caller, ApiError> {
    if session.is_unnoted(now) {
        Box::pin(note_use(app, token, session.session)).await?;
    }
    let credential = Credential::Session { id: session.session, expires_at: session.expires_at };
    Ok(Caller { user: session.user, credential })
}

async fn note_use(app: &App, token: Token, session: SessionId) -> Result<(), ApiError> {
    let mut conn = app.database.acquire().await?;
    sessions::touch(&mut conn, session, app.config.session_lifetime.idle).await?;
    app.caches.forget(&[cache::Scope::Session(token.hash())]).await;
    Ok(())
}

async fn by_api_token(app: &App, token: Token) -> Result<Caller, ApiError> {
    let mut conn = app.database.acquire().await?;
    let token = api_tokens::authenticate(&mut conn, token).await?.ok_or(ApiError::Unauthenticated)?;
    if token.is_unnoted(Utc::now()) {
        api_tokens::touch(&mut conn, token.id).await?;
    }
    let user = Identity { id: token.user.id, role: token.user.role };
    Ok(Caller { user, credential: Credential::ApiToken { scopes: token.scopes } })
}

/// What the request brings. A bearer token wins; a cookie counts only where no other site can have sent it.
fn proof(request: &HttpRequest, config: &HttpConfig) -> Result<Option<Proof>, ApiError> {
    if let Some(authorization) = request.headers().get(header::AUTHORIZATION) {
        let token = authorization.to_str().ok().and_then(bearer);
        return Ok(token.and_then(|token| match api_tokens::is_meant(token) {
            true => api_tokens::parse(token).map(Proof::ApiToken),
            false => Token::parse(token).map(Proof::Session),
        }));
    }
    let Some(cookie) = request.cookie(cookie_name(config)) else { return Ok(None) };
    refuse_foreign(request)?;
    Ok(Token::parse(cookie.value()).map(Proof::Session))
}

/// Refuses what another site has a browser do: with the session's cookie, or at the door, where it could sign a student in
/// to an account of its own. Nobody but a client's own code sends `Authorization`.
fn refuse_foreign(request: &HttpRequest) -> Result<(), ApiError> {
    let app = state(request);
    let headers = request.headers();
    let is_safe = request.method().is_safe() || headers.contains_key(header::AUTHORIZATION);
    if !is_safe && is_foreign(headers, &app.config.public_url) {
        return Err(ApiError::Forbidden("This request comes from another site."));
    }
    Ok(())
}

/// The token of an `Authorization` header of the scheme Bearer.
#[must_use]
pub(crate) fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case("Bearer ").then(|| token.trim_ascii())
}

/// True if a browser says that another site made the request, or another host of this one. A client that sends neither
/// header is no browser of the last years, and nobody's tool.
fn is_foreign(headers: &HeaderMap, public_url: &Url) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    if let Some(site) = text("sec-fetch-site") {
        return !matches!(site, "same-origin" | "none");
    }
    let Some(origin) = text("origin") else { return false };
    let Ok(origin) = Url::parse(origin) else { return true };
    let ours = origin.origin() == public_url.origin();
    let same_host =
        text("host").is_some_and(|host| host == &origin[url::Position::BeforeHost..url::Position::AfterPort]);
    !(ours || same_host)
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
    fn a_bearer_token_stands_behind_its_scheme() {
        for (sent, token) in [
            ("Bearer t", Some("t")),
            ("bearer t", Some("t")),
            ("BEARER  t\t", Some("t")),
            ("Bearer ", Some("")),
            ("Bearer", None),
            ("Bearer\tt", None),
            ("Bearert", None),
            ("Basic t", None),
            ("Beareré t", None),
            ("", None),
        ] {
            assert_eq!(bearer(sent), token, "{sent:?}");
        }
    }

    #[test]
    fn another_site_is_told_by_either_header() {
        for site in ["cross-site", "same-site", "", "elsewhere"] {
            assert!(foreign(&[("sec-fetch-site", site)]), "{site}");
        }
        assert!(!foreign(&[("sec-fetch-site", "none")]));
        assert!(!foreign(&[("sec-fetch-site", "same-origin")]));
        assert!(foreign(&[("origin", "")]));
        assert!(foreign(&[("origin", "https://evil.example")]));
        assert!(foreign(&[("origin", "null")]));
        assert!(foreign(&[("origin", "http://bellwork.example"), ("host", "bellwork.example:443")]));
        assert!(!foreign(&[]));
        assert!(!foreign(&[("sec-fetch-site", "same-origin"), ("origin", "https://bellwork.example")]));
        assert!(!foreign(&[("origin", "http://127.0.0.1:8080"), ("host", "127.0.0.1:8080")]));
    }
}
