//! Requests that may be sent twice: the first answer is kept under the client's key, and given again.

use std::marker::PhantomData;

use actix_web::body::BoxBody;
use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::{FromRequest, HttpRequest, HttpResponse, Responder};
use bellwork_shared::idempotency::{self, Answer, Claim, Key};
use bellwork_shared::ledger::NewJob;
use bytes::Bytes;
use futures_util::future::{Ready, ready};
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use utoipa::openapi::Required;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use crate::app::App;
use crate::auth::caller::SignedIn;
use crate::describe::{Answers, Description, Takes};
use crate::error::ApiError;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const MAX_LENGTH: usize = 255;

/// The header `Idempotency-Key`, quoted (as the draft has it) or bare.
#[derive(Clone, Debug)]
pub(crate) struct IdempotencyKey(Option<String>);

/// What a request is told apart by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Once<'a> {
    /// Who sends it.
    pub(crate) caller: &'a SignedIn,
    /// The method and path pattern.
    pub(crate) route: &'a str,
    /// The client's key, if it sent one.
    pub(crate) key: &'a IdempotencyKey,
    /// The body, as it was sent.
    pub(crate) body: &'a Bytes,
}

/// What a request did, to be answered and pushed once it is committed.
#[derive(Debug)]
pub(crate) struct Effect {
    /// The answer.
    pub(crate) answer: Answer,
    /// The jobs whose rows were inserted.
    pub(crate) jobs: Vec<NewJob>,
}

/// An answer of the shape of `R`, given now or before.
#[derive(Debug)]
pub(crate) struct Remembered<R> {
    answer: Answer,
    replayed: Option<HeaderValue>,
    shape: PhantomData<R>,
}

/// Does `effect` in one transaction, unless the same request was answered before; then that answer is given again.
///
/// # Errors
/// 409 while the first request runs, 422 if it had another body, and those of `effect`.
pub(crate) async fn once<R>(
    app: &App,
    request: Once<'_>,
    effect: impl AsyncFnOnce(&mut PgConnection) -> Result<Effect, ApiError>,
) -> Result<Remembered<R>, ApiError> {
    let fingerprint = Sha256::digest(request.body);
    let (user, route) = (request.caller.user.id, request.route);
    let key = request.key.0.as_deref().map(|key| Key { user, route, key, fingerprint: &fingerprint });
    let mut tx = app.database.begin().await?;
    if let Some(key) = &key {
        let claim = idempotency::claim(&mut tx, key).await?;
        if claim != Claim::Ours {
            // Now and not some time after the answer: until then the key would seem to be in use.
            tx.rollback().await?;
            return answered(claim);
        }
    }
    let Effect { answer, jobs } = match effect(&mut tx).await {
        Ok(effect) => effect,
        Err(error) => {
            // Before the refusal is answered, for the same reason: a corrected request may bring the same key.
            tx.rollback().await?;
            return Err(error);
        }
    };
    if let Some(key) = &key {
        idempotency::keep(&mut tx, key, &answer).await?;
    }
    tx.commit().await?;
    app.push(&jobs).await;
    Ok(Remembered { answer, replayed: None, shape: PhantomData })
}

/// The answer to a request whose key is somebody else's, or has been answered.
fn answered<R>(claim: Claim) -> Result<Remembered<R>, ApiError> {
    match claim {
        Claim::Answered(answer) => {
            Ok(Remembered { answer, replayed: Some(HeaderValue::from_static("true")), shape: PhantomData })
        }
        Claim::OtherRequest => Err(ApiError::KeyReused),
        Claim::Ours | Claim::InProgress => Err(ApiError::StillRunning),
    }
}

fn read(headers: &HeaderMap) -> Result<IdempotencyKey, ApiError> {
    let Some(header) = headers.get(&IDEMPOTENCY_KEY) else { return Ok(IdempotencyKey(None)) };
    let text = header.to_str().unwrap_or_default().trim();
    let key = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
    let visible = key.bytes().all(|c| c.is_ascii_graphic() && c != b'"');
    if (1..=MAX_LENGTH).contains(&key.len()) && visible {
        return Ok(IdempotencyKey(Some(key.to_owned())));
    }
    let detail = format!("The header Idempotency-Key has 1 to {MAX_LENGTH} visible characters.");
    Err(ApiError::invalid("", detail))
}

impl FromRequest for IdempotencyKey {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(read(request.headers()))
    }
}

impl Takes for IdempotencyKey {
    fn describe(description: &mut Description) {
        let says = "Chosen by the client; the same request with the same key has one effect, for 24 hours.";
        let schema = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[!#-~]{1,255}$"));
        description.header("Idempotency-Key", says, Required::False, schema.build().into());
        description.refuses(&[409, 422]);
    }
}

impl<R> Responder for Remembered<R> {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        let status = StatusCode::from_u16(self.answer.status).unwrap_or(StatusCode::OK);
        let mut response = HttpResponse::build(status);
        if let Some(location) = self.answer.location {
            response.insert_header((header::LOCATION, location));
        }
        if let Some(replayed) = self.replayed {
            response.insert_header((IDEMPOTENCY_REPLAYED, replayed));
        }
        response.json(self.answer.body)
    }
}

impl<R: Answers> Answers for Remembered<R> {
    fn describe(description: &mut Description) {
        R::describe(description);
        let says = "`true` if this answer was given before.";
        for status in [200, 201, 202] {
            description.answers_with_header(status, "Idempotency-Replayed", says);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(value: &str) -> Result<Option<String>, ApiError> {
        let headers = [(IDEMPOTENCY_KEY, HeaderValue::from_str(value).unwrap())].into_iter().collect();
        read(&headers).map(|key| key.0)
    }

    #[test]
    fn a_key_is_quoted_or_bare_and_the_same_either_way() {
        assert_eq!(key("\"abc-1\"").unwrap(), key("abc-1").unwrap());
        assert!(read(&HeaderMap::new()).unwrap().0.is_none());
        for value in ["", "\"\"", "a b", "a\"b", &"x".repeat(256)] {
            assert!(matches!(key(value), Err(ApiError::Invalid(_))), "{value:?}");
        }
    }
}
