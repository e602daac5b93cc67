//! Who sends a request, as the gate has found them: what handlers ask for.

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use bellwork_shared::api_tokens::scopes::Scope;
use bellwork_shared::ids::SessionId;
use bellwork_shared::reading::Reader;
use bellwork_shared::sessions::Identity;
use bellwork_shared::users::Role;
use chrono::{DateTime, Utc};
use futures_util::future::{Ready, ready};

use crate::error::ApiError;

/// Who sends a request, and by what.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// Who.
    pub(crate) user: Identity,
    /// By what.
    pub(crate) credential: Credential,
}

/// What proved who sends a request.
#[derive(Clone, Debug)]
pub(crate) enum Credential {
    /// A session.
    Session {
        /// Which.
        id: SessionId,
        /// When it ends by itself.
        expires_at: DateTime<Utc>,
    },
    /// A token of the user's own programs.
    ApiToken {
        /// What it may do.
        scopes: Vec<Scope>,
    },
}

impl Caller {
    /// Whether an operator asks, by a session or by a token with `scope`: an operator's token for less sees no more than
    /// a student's.
    #[must_use]
    pub(crate) fn operates(&self, scope: Scope) -> bool {
        self.user.role == Role::Admin && self.may(scope)
    }

    /// Whether what they came by is good for what `scope` stands for. A session is good for everything.
    #[must_use]
    pub(crate) fn may(&self, scope: Scope) -> bool {
        match &self.credential {
            Credential::Session { .. } => true,
            Credential::ApiToken { scopes } => scopes.contains(&scope),
        }
    }
}

/// The caller, as the gate found them.
#[derive(Clone, Debug)]
pub(crate) struct SignedIn(pub(super) Caller);

impl SignedIn {
    /// Who reads: nothing older than what the caller has written.
    #[must_use]
    pub(crate) fn reader(&self) -> Reader {
        Reader::User(self.user.id)
    }
}

impl std::ops::Deref for SignedIn {
    type Target = Caller;

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

/// A caller who came by a session, not by an API token.
#[derive(Clone, Debug)]
pub(crate) struct InSession {
    /// Who.
    pub(crate) user: Identity,
    /// The session.
    pub(crate) session: SessionId,
    /// When it ends by itself.
    pub(crate) expires_at: DateTime<Utc>,
}

impl FromRequest for InSession {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let caller = SignedIn::from_request(request, payload).into_inner();
        ready(caller.and_then(|SignedIn(caller)| match caller.credential {
            Credential::Session { id, expires_at } => Ok(Self { user: caller.user, session: id, expires_at }),
            Credential::ApiToken { .. } => Err(ApiError::OutOfScope(None)),
        }))
    }
}
