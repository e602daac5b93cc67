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
    const fn cache_control(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Everybody => "public, max-age=15",
            Self::Caller => "private, no-cache",
        })
    }

    /// Of an answer that should have been made anew: whoever keeps it asks again before it is used.
    const fn cache_control_of_stale(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Everybody => "no-cache",
            Self::Caller => "private, no-cache",
        })
    }
}

/// A body with its ETag and, once somebody wants them, its compressed forms.
#[derive(Debug)]
pub(crate) struct Encoded {
    plain: Bytes,
    /// What its ETags begin with, without quotes.
    tag: String,
    /// As it is, then in the order of [`Coding::ALL`]. Strong: each form has its own.
    etags: [HeaderValue; 1 + Coding::ALL.len()],
    /// In the order of [`Coding::ALL`]; nothing where it would be no smaller.
    forms: [OnceLock<Option<Bytes>>; Coding::ALL.len()],
}

impl Encoded {
    /// Keeps `plain`, which is JSON.
    pub(crate) fn new(plain: Bytes) -> Self {
        let tag = URL_SAFE_NO_PAD.encode(&Sha256::digest(&plain)[..TAG]);
        let etag = |form: &str| {
            HeaderValue::try_from(format!("\"{tag}{form}\"")).expect("base64 and a coding's name are valid in a header")
        };
        let etags = [etag(""), etag("-br"), etag("-zstd"), etag("-gzip")];
        Self { plain, etags, tag, forms: Default::default() }
    }

    /// As it is.
    pub(crate) fn plain(&self) -> &Bytes {
        &self.plain
    }

    /// In the coding, if it is smaller for it and there by now.
    fn form(self: &Arc<Self>, coding: Coding) -> Option<Bytes> {
        if self.plain.len() < SMALLEST {
            return None;
        }
        let form = &self.forms[coding as usize];
        if let Some(form) = form.get() {
            return form.clone();
        }
        if self.plain.len() <= LARGEST_AT_ONCE {
            return form.get_or_init(|| coding.encode(&self.plain, Effort::Thorough)).clone();
        }
        let body = Arc::clone(self);
        actix_web::rt::task::spawn_blocking(move || {
            body.forms[coding as usize].get_or_init(|| coding.encode(&body.plain, Effort::Thorough)).is_some()
        });
        None
    }

    /// Its ETag in a coding.
    fn etag(&self, coding: Option<Coding>) -> &HeaderValue {
        &self.etags[coding.map_or(0, |coding| 1 + coding as usize)]
    }

    /// The ETag of `sent`, an `If-None-Match`, that names this body in any of its forms: they say the same.
    fn matching(&self, sent: &HeaderMap) -> Option<HeaderValue> {
        let lists = sent.get_all(header::IF_NONE_MATCH).filter_map(|value| value.to_str().ok());
        let mut tags = lists.flat_map(|list| list.split(',').map(str::trim));
        tags.find_map(|tag| {
            let opaque = tag.strip_prefix("W/").unwrap_or(tag).strip_prefix('"')?.strip_suffix('"')?;
            let form = opaque.strip_prefix(&self.tag)?;
            let coding = form.strip_prefix('-').and_then(|name| Coding::ALL.into_iter().find(|c| c.name() == name));
            (form.is_empty() || coding.is_some()).then(|| self.etag(coding).clone())
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
        let mut answer = HttpResponse::build(StatusCode::OK);
        answer.insert_header((header::CACHE_CONTROL, self.audience.cache_control()));
        answer.insert_header((header::VARY, HeaderValue::from_static("Accept-Encoding")));
        if let Freshness::Stale { overdue } = self.freshness {
            answer.insert_header((header::CACHE_CONTROL, self.audience.cache_control_of_stale()));
            answer.insert_header((CACHE_STATUS, format!("bellwork; hit; ttl=-{}", overdue.as_secs())));
        }
        let accepted = sent.get(header::ACCEPT_ENCODING);
        let coding = accepted.and_then(|accepted| Coding::preferred(accepted, Effort::Thorough));
        let form = coding.and_then(|coding| Some((coding, self.body.form(coding)?)));
        let etag = self.body.etag(form.as_ref().map(|(coding, _)| *coding));
        if let Some(matching) = self.matching(sent, etag) {
            return answer.status(StatusCode::NOT_MODIFIED).insert_header((header::ETAG, matching)).finish();
        }
        answer.insert_header((header::ETAG, etag.clone())).insert_header(header::ContentType::json());
        match form {
            Some((coding, form)) => answer.insert_header((header::CONTENT_ENCODING, coding.header())).body(form),
            None => answer.body(self.body.plain.clone()),
        }
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
    /// The ETag to confirm, if the client has the body. `*` stands for whichever it would be sent.
    fn matching(&self, sent: &HeaderMap, etag: &HeaderValue) -> Option<HeaderValue> {
        if !sent.contains_key(header::IF_NONE_MATCH) {
            return None;
        }
        let any = sent.get_all(header::IF_NONE_MATCH).any(|value| value.as_bytes().trim_ascii() == b"*");
        if any { Some(etag.clone()) } else { self.body.matching(sent) }
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
