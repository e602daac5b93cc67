//! Answers that are made once and sent many times: their bytes, their ETag and their compressed forms are kept together,
//! so that a request that finds them costs neither a store nor an encoder, and one that has them already a 304.

use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, Responder};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bellwork_shared::cache::{Freshness, Key, Value};
use bytes::Bytes;
use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::caches::Caches;
use crate::coding::{Coding, Effort, SMALLEST};
use crate::describe::{Answers, Description};
use crate::error::ApiError;

/// A larger body is put into a coding beside the thread that serves requests; until it is there, it goes out as it is.
const LARGEST_AT_ONCE: usize = 64 * 1024;
/// Bytes of the SHA-256 kept in an ETag: 128 bits.
const TAG: usize = 16;
/// RFC 9211: tells of an answer that should have been made anew.
const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// Who may keep an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    /// Anybody, for a moment: it holds nothing of the one who asks.
    Everybody,
    /// The client alone, which asks each time whether it still holds.
    Caller,
}

impl Audience {
    /// What should have been made anew is asked for again before it is used, whoever keeps it.
    const fn cache_control(self, freshness: Freshness) -> HeaderValue {
        HeaderValue::from_static(match (self, freshness) {
            (Self::Everybody, Freshness::Fresh) => "public, max-age=15",
            (Self::Everybody, Freshness::Stale { .. }) => "no-cache",
            (Self::Caller, _) => "private, no-cache",
        })
    }
}

/// A body with its ETag and, once somebody wants them, its compressed forms.
#[derive(Debug)]
pub(crate) struct Encoded {
    plain: Bytes,
    tag: Tag,
    /// In the order of [`Coding::ALL`]; nothing where it would be no smaller.
    forms: [OnceLock<Option<Bytes>>; Coding::ALL.len()],
}

/// What the ETags of a body begin with, without quotes: base64.
type Tag = [u8; (TAG * 8).div_ceil(6)];

impl Encoded {
    /// Keeps `plain`, which is JSON.
    pub(crate) fn new(plain: Bytes) -> Self {
        let mut tag = Tag::default();
        let written = URL_SAFE_NO_PAD.encode_slice(&Sha256::digest(&plain)[..TAG], &mut tag);
        written.expect("a tag is as long as its bytes in base64");
        Self { plain, tag, forms: Default::default() }
    }

    /// As it is.
    pub(crate) fn plain(&self) -> &Bytes {
        &self.plain
    }

    /// Whether it is smaller in the coding, and there by now.
    fn has(self: &Arc<Self>, coding: Coding) -> bool {
        if self.plain.len() < SMALLEST {
            return false;
        }
        let form = &self.forms[coding as usize];
        if let Some(form) = form.get() {
            return form.is_some();
        }
        if self.plain.len() <= LARGEST_AT_ONCE {
            return form.get_or_init(|| coding.encode(&self.plain, Effort::Thorough)).is_some();
        }
        let body = Arc::clone(self);
        actix_web::rt::task::spawn_blocking(move || {
            body.forms[coding as usize].get_or_init(|| coding.encode(&body.plain, Effort::Thorough)).is_some()
        });
        false
    }

    /// In a coding that it has.
    fn bytes(&self, coding: Option<Coding>) -> &Bytes {
        let form = coding.and_then(|coding| self.forms[coding as usize].get()?.as_ref());
        form.unwrap_or(&self.plain)
    }

    /// Its ETag in a coding. Strong: each form has its own. Made for each answer: its bytes are few, and what would count the
    /// holders of a shared one is a line of memory that the cores take from each other.
    fn etag(&self, coding: Option<Coding>) -> HeaderValue {
        let (dash, form) = coding.map_or(("", ""), |coding| ("-", coding.name()));
        let (mut etag, mut length) = ([0; 2 * TAG], 0);
        for part in [b"\"", &self.tag[..], dash.as_bytes(), form.as_bytes(), b"\""] {
            etag[length..][..part.len()].copy_from_slice(part);
            length += part.len();
        }
        HeaderValue::from_bytes(&etag[..length]).expect("base64 and a coding's name are valid in a header")
    }

    /// The ETag of `sent`, an `If-None-Match`, that names this body in any of its forms: they say the same.
    fn matching(&self, sent: &HeaderMap) -> Option<HeaderValue> {
        let lists = sent.get_all(header::IF_NONE_MATCH).filter_map(|value| value.to_str().ok());
        let mut tags = lists.flat_map(|list| list.split(',').map(str::trim));
        tags.find_map(|tag| {
            let opaque = tag.strip_prefix("W/").unwrap_or(tag).strip_prefix('"')?.strip_suffix('"')?;
            let form = std::str::from_utf8(opaque.as_bytes().strip_prefix(&self.tag)?).ok()?;
            let coding = form.strip_prefix('-').and_then(|name| Coding::ALL.into_iter().find(|c| c.name() == name));
            (form.is_empty() || coding.is_some()).then(|| self.etag(coding))
        })
    }
}

impl Value for Encoded {
    fn encode(&self) -> Bytes {
        self.plain.clone()
    }

    fn decode(bytes: Bytes) -> Option<Self> {
        Some(Self::new(bytes))
    }

    /// With its forms: about as much again, once they are there.
    fn weight(&self) -> usize {
        2 * self.plain.len()
    }

    fn is_same(&self, other: &Self) -> bool {
        self.tag == other.tag
    }
}

/// 200 with a body from a cache, or 304 if the client has it.
#[derive(Debug)]
pub(crate) struct Cached<T> {
    body: Arc<Encoded>,
    freshness: Freshness,
    audience: Audience,
    shape: PhantomData<fn() -> T>,
}

/// The answer that is kept under `key`, made by `load` if it keeps none.
///
/// A read is put behind a cache in one line: what it answered before becomes `load`, and all that it depends on stands
/// in the key: its parameters, and whoever asks if that makes a difference.
///
/// # Errors
/// 404 if `load` says that there is no such thing; else those of `load`, if nothing may answer instead.
pub(crate) async fn cached<T, L, F>(
    caches: &Caches,
    key: Key,
    audience: Audience,
    load: L,
) -> Result<Cached<T>, ApiError>
where
    T: Serialize,
    L: FnOnce() -> F + Send + 'static,
    F: Future<Output = Result<Option<T>, ApiError>> + Send + 'static,
{
    let got = caches.body(key, move || async move { encode(load().await?) }).await?;
    let body = got.value.ok_or(ApiError::NotFound)?;
    Ok(Cached { body, freshness: got.freshness, audience, shape: PhantomData })
}

/// What `loaded` looks like to clients.
///
/// # Errors
/// If it cannot be written as JSON.
pub(crate) fn encode<T: Serialize>(loaded: Option<T>) -> anyhow::Result<Option<Encoded>> {
    loaded.map(|value| Ok(Encoded::new(serde_json::to_vec(&value)?.into()))).transpose()
}

impl<T> Responder for Cached<T> {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        let sent = request.headers();
        let accepted = sent.get(header::ACCEPT_ENCODING);
        let coding = accepted.and_then(|accepted| Coding::preferred(accepted, Effort::Thorough));
        let coding = coding.filter(|coding| self.body.has(*coding));
        let (audience, freshness) = (self.audience, self.freshness);
        let mut answer = match self.matching(sent, coding) {
            Some(matching) => with_etag(HttpResponse::new(StatusCode::NOT_MODIFIED), matching),
            None => self.whole(coding),
        };
        let headers = answer.headers_mut();
        headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
        headers.insert(header::CACHE_CONTROL, audience.cache_control(freshness));
        if let Freshness::Stale { overdue } = freshness {
            let status = format!("bellwork; hit; ttl=-{}", overdue.as_secs());
            headers.insert(CACHE_STATUS, HeaderValue::try_from(status).expect("a number is valid in a header"));
        }
        answer
    }
}

fn with_etag(mut answer: HttpResponse, etag: HeaderValue) -> HttpResponse {
    answer.headers_mut().insert(header::ETAG, etag);
    answer
}

/// A body on its way: it holds on to the one that is kept, and to nothing else that all threads count.
struct Sent {
    body: Arc<Encoded>,
    coding: Option<Coding>,
}

impl AsRef<[u8]> for Sent {
    fn as_ref(&self) -> &[u8] {
        self.body.bytes(self.coding)
    }
}

impl<T: Serialize> Cached<T> {
    /// An answer that is not kept: with an ETag like others, so that the client need not fetch it again.
    ///
    /// # Errors
    /// 404 if there is no such thing.
    pub(crate) fn once(loaded: Option<T>, audience: Audience) -> Result<Self, ApiError> {
        let body = Arc::new(encode(loaded)?.ok_or(ApiError::NotFound)?);
        Ok(Self { body, freshness: Freshness::Fresh, audience, shape: PhantomData })
    }
}

impl<T> Cached<T> {
    fn whole(self, coding: Option<Coding>) -> HttpResponse {
        let etag = self.body.etag(coding);
        let body = Bytes::from_owner(Sent { body: self.body, coding });
        let mut answer = with_etag(HttpResponse::with_body(StatusCode::OK, BoxBody::new(body)), etag);
        let headers = answer.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(coding) = coding {
            headers.insert(header::CONTENT_ENCODING, coding.header());
        }
        answer
    }

    /// The ETag to confirm, if the client has the body. `*` stands for whichever it would be sent.
    fn matching(&self, sent: &HeaderMap, coding: Option<Coding>) -> Option<HeaderValue> {
        if !sent.contains_key(header::IF_NONE_MATCH) {
            return None;
        }
        let any = sent.get_all(header::IF_NONE_MATCH).any(|value| value.as_bytes().trim_ascii() == b"*");
        if any { Some(self.body.etag(coding)) } else { self.body.matching(sent) }
    }
}

impl<T: ToSchema> Answers for Cached<T> {
    fn describe(description: &mut Description) {
        let schema = description.schema::<T>();
        description.answers(200, "As asked.", "application/json", schema);
        description.answers_empty(304, "The client has it already, as its If-None-Match says.");
        for status in [200, 304] {
            description.answers_with_header(status, "ETag", "Names these bytes, for If-None-Match.");
            description.answers_with_header(status, "Cache-Control", "Who may keep it, and for how long.");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn a_stale_answer_stays_with_those_who_may_keep_it() {
        let overdue = Duration::from_secs(7);
        for (audience, freshness, expected) in [
            (Audience::Everybody, Freshness::Fresh, "public, max-age=15"),
            (Audience::Everybody, Freshness::Stale { overdue }, "no-cache"),
            (Audience::Caller, Freshness::Fresh, "private, no-cache"),
            (Audience::Caller, Freshness::Stale { overdue }, "private, no-cache"),
        ] {
            let cached = Cached { freshness, ..Cached::once(Some("body"), audience).unwrap() };
            let answer = cached.respond_to(&TestRequest::default().to_http_request());
            assert_eq!(answer.headers().get(header::CACHE_CONTROL).unwrap(), expected, "{audience:?} {freshness:?}");
            assert_eq!(answer.headers().contains_key(CACHE_STATUS), freshness != Freshness::Fresh);
        }
    }
}
