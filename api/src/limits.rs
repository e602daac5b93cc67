//! How often a client may ask: what the gate before each route counts, and the headers that say how the client stands
//! (draft-ietf-httpapi-ratelimit-headers-11).

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::{HttpMessage, HttpRequest, web};
use bellwork_queue::Connection;
use bellwork_shared::config::limits::LimitsConfig;
use bellwork_shared::ids::UserId;
use bellwork_shared::rate_limit::policies::{self, Partition, Policy};
use bellwork_shared::rate_limit::{Limiter, Standing, Standings, Subject, Verdict};
use ipnet::IpNet;
use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::app::App;
use crate::client::{client_address, site};
use crate::error::ApiError;

const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// What a process needs to limit its clients.
pub(crate) struct Limits {
    limiter: Limiter<Connection>,
    /// Whose word on addresses is believed.
    pub(crate) trusted_proxies: Vec<IpNet>,
}

/// Which limits a route has.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Limit {
    /// None: it must answer whatever happens.
    Exempt,
    /// The limit on everything.
    Usual,
    /// The limit on everything, and one of its own.
    Also(&'static Policy),
}

/// How requests are counted.
#[derive(Serialize, ToSchema)]
pub(crate) struct Counting {
    /// `together` by all processes; `alone` while Redis is away, when each process allows its share.
    counted: &'static str,
    /// The number of processes that share the quotas.
    processes: u32,
}

/// Why a request is refused.
#[derive(Debug)]
pub(crate) struct Exceeded {
    /// The names of the policies that it would violate.
    pub(crate) policies: Vec<&'static str>,
    /// Seconds until the client may ask again.
    pub(crate) retry_after: u64,
}

/// How the client stands after this request, for its answer.
struct Told(Standings);

/// A list of structured fields (RFC 9651).
struct List(String);

impl Limits {
    /// Counts in the cache instance of Redis, which `connection` leads to.
    #[must_use]
    pub(crate) fn start(connection: Connection, prefix: &str, config: &LimitsConfig) -> Self {
        let limiter = Limiter::start(connection, prefix, config.clone());
        Self { limiter, trusted_proxies: config.trusted_proxies.clone() }
    }

    /// How requests are counted now.
    #[must_use]
    pub(crate) fn health(&self) -> Counting {
        let counted = if self.limiter.is_degraded() { "alone" } else { "together" };
        Counting { counted, processes: self.limiter.processes() }
    }
}

/// Counts a request of `caller`, or of its address if nobody is signed in.
///
/// # Errors
/// 429 if it is one too many.
pub(crate) async fn count(request: &HttpRequest, limit: Limit, caller: Option<UserId>) -> Result<(), ApiError> {
    let subject = |policy: &Policy| match (policy.partition, caller) {
        (Partition::Caller, Some(user)) => Subject::User(user),
        _ => Subject::Address(site(client_address(request))),
    };
    let usual = (&policies::API, subject(&policies::API));
    match limit {
        Limit::Exempt => Ok(()),
        Limit::Also(policy) if policy.partition != Partition::Account => {
            admit(request, &[usual, (policy, subject(policy))]).await
        }
        Limit::Usual | Limit::Also(_) => admit(request, &[usual]).await,
    }
}

/// Counts a request of an address for `account`, which only its handler knows.
///
/// # Errors
/// 429 if it is one too many.
pub(crate) async fn count_account(
    request: &HttpRequest,
    policy: &'static Policy,
    account: &str,
) -> Result<(), ApiError> {
    let digest = Sha256::digest(account.trim().to_lowercase());
    let account = u64::from_be_bytes(digest[..8].try_into().expect("a digest has 32 bytes"));
    admit(request, &[(policy, Subject::Account(site(client_address(request)), account))]).await
}

/// Refuses an address that has brought too many sessions that do not exist, before another is looked for.
///
/// # Errors
/// 429 if so.
pub(crate) fn check_stranger(request: &HttpRequest) -> Result<(), ApiError> {
    let address = Subject::Address(site(client_address(request)));
    match app(request).limits.limiter.refusal(&policies::UNAUTHENTICATED, address) {
        Some(standing) => Err(refuse(request, Standings::from_iter([standing]))),
        None => Ok(()),
    }
}

/// Counts a request with a session or a token that does not exist.
///
/// # Errors
/// 429 if it is one too many.
pub(crate) async fn count_stranger(request: &HttpRequest) -> Result<(), ApiError> {
    admit(request, &[(&policies::UNAUTHENTICATED, Subject::Address(site(client_address(request))))]).await
}

async fn admit(request: &HttpRequest, applied: &[(&'static Policy, Subject)]) -> Result<(), ApiError> {
    match app(request).limits.limiter.admit(applied).await {
        Verdict::Through(standings) => {
            let mut extensions = request.extensions_mut();
            match extensions.get_mut::<Told>() {
                Some(Told(told)) => told.extend(standings),
                None => drop(extensions.insert(Told(standings))),
            }
            Ok(())
        }
        Verdict::Refused(standings) => Err(refuse(request, standings)),
    }
}

fn refuse(request: &HttpRequest, standings: Standings) -> ApiError {
    let retry_after = standings.iter().map(|standing| standing.reset_seconds).max().unwrap_or(1);
    let policies = standings.iter().map(|standing| standing.policy.name).collect();
    request.extensions_mut().insert(Told(standings));
    ApiError::QuotaExceeded(Exceeded { policies, retry_after })
}

/// Tells the client how it stands, if anything was counted.
pub(crate) fn add_headers(request: &HttpRequest, headers: &mut HeaderMap) {
    let extensions = request.extensions();
    let Some(Told(standings)) = extensions.get::<Told>().filter(|told| !told.0.is_empty()) else {
        return;
    };
    let (policies, standings) = write(standings);
    headers.insert(RATELIMIT_POLICY, policies.into_header());
    headers.insert(RATELIMIT, standings.into_header());
}

/// q quota, w window; r remaining, t seconds until more may pass.
fn write(standings: &[Standing]) -> (List, List) {
    let (mut policies, mut now) = (List::new(), List::new());
    for Standing { policy, quota, remaining, reset_seconds } in standings {
        policies.item(policy.name, (";q=", quota.requests.into()), (";w=", quota.window_seconds()));
        now.item(policy.name, (";r=", (*remaining).into()), (";t=", *reset_seconds));
    }
    (policies, now)
}

/// Written without `format!`, which costs an answer four times as much.
impl List {
    fn new() -> Self {
        Self(String::with_capacity(48))
    }

    fn item(&mut self, name: &str, one: (&str, u64), other: (&str, u64)) {
        self.0.push_str(if self.0.is_empty() { "\"" } else { ", \"" });
        self.0.push_str(name);
        self.0.push('"');
        for (key, number) in [one, other] {
            self.0.push_str(key);
            self.0.push_str(itoa::Buffer::new().format(number));
        }
    }

    fn into_header(self) -> HeaderValue {
        HeaderValue::from_str(&self.0).expect("names of policies and numbers are valid in a header")
    }
}

fn app(request: &HttpRequest) -> &App {
    request.app_data::<web::Data<App>>().expect("the application's state is registered at its start")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_headers_are_lists_of_structured_fields() {
        let standing =
            |policy: &'static Policy, remaining| Standing { policy, quota: policy.quota, remaining, reset_seconds: 2 };
        let standings = [standing(&policies::API, 99), standing(&policies::LOGIN, 0)];
        let (policies, now) = write(&standings);
        assert_eq!(policies.into_header(), r#""api";q=100;w=1, "login";q=10;w=60"#);
        assert_eq!(now.into_header(), r#""api";r=99;t=2, "login";r=0;t=2"#);
    }
}
