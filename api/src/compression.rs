//! Compresses what is answered once: JSON and text, neither streams nor what has a strong validator, since its bytes
//! would no longer be those that the validator names; nor answers that hold a secret beside words of the client's own
//! choice, whose length would tell of the secret (BREACH). Bodies that are sent many times come compressed already, from
//! [`crate::cached`].

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::ServiceResponse;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::{HttpResponse, web};
use bytes::Bytes;

use crate::coding::{Coding, Effort, SMALLEST};

/// A larger body is compressed beside the thread that serves requests.
const LARGEST_AT_ONCE: usize = 64 * 1024;
/// What is answered below these paths holds secrets.
const SECRET: [&str; 2] = ["/api/auth/", "/api/me/tokens"];
/// What is worth it, and no stream.
const COMPRESSIBLE: [&str; 6] =
    ["application/json", "application/problem+json", "text/html", "text/plain", "text/css", "text/javascript"];

/// `answer` in the coding that its client likes best, if it is worth it.
pub(crate) async fn compress(answer: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
    let size = answer.response().body().size();
    if !matches!(size, BodySize::Sized(size) if size >= SMALLEST as u64) || !is_open(answer.headers()) {
        return answer;
    }
    let (request, mut response) = answer.into_parts();
    if SECRET.iter().any(|path| request.path().starts_with(path)) {
        return ServiceResponse::new(request, response);
    }
    add_vary(response.headers_mut());
    let accepted = request.headers().get(header::ACCEPT_ENCODING);
    let response = match accepted.and_then(|accepted| Coding::preferred(accepted, Effort::Fast)) {
        Some(coding) => encoded(response, coding).await,
        None => response,
    };
    ServiceResponse::new(request, response)
}

/// True if nothing in the headers of an answer speaks against another coding.
fn is_open(headers: &HeaderMap) -> bool {
    // Nearly always the answer: first.
    if headers.get(header::ETAG).is_some_and(|tag| !tag.as_bytes().starts_with(b"W/")) {
        return false;
    }
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).unwrap_or_default();
    let essence = text(header::CONTENT_TYPE).split(';').next().unwrap_or_default().trim();
    let is_fixed = text(header::CACHE_CONTROL).contains("no-transform");
    COMPRESSIBLE.contains(&essence)
        && !is_fixed
        && !headers.contains_key(header::CONTENT_ENCODING)
        && !headers.contains_key(header::SET_COOKIE)
}

fn add_vary(headers: &mut HeaderMap) {
    let says =
        |value: &HeaderValue| value.to_str().is_ok_and(|text| text.to_ascii_lowercase().contains("accept-encoding"));
    if !headers.get_all(header::VARY).any(says) {
        headers.append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    }
}

async fn encoded(response: HttpResponse, coding: Coding) -> HttpResponse {
    let (mut response, body) = response.into_parts();
    let plain = match body.try_into_bytes() {
        Ok(plain) => plain,
        Err(body) => return response.set_body(body),
    };
    match encode(plain.clone(), coding).await {
        Some(encoded) => {
            response.headers_mut().insert(header::CONTENT_ENCODING, coding.header());
            response.set_body(BoxBody::new(encoded))
        }
        None => response.set_body(BoxBody::new(plain)),
    }
}

async fn encode(plain: Bytes, coding: Coding) -> Option<Bytes> {
    if plain.len() <= LARGEST_AT_ONCE {
        return coding.encode(&plain, Effort::Fast);
    }
    web::block(move || coding.encode(&plain, Effort::Fast)).await.ok().flatten()
}

#[cfg(test)]
mod tests {
    use actix_web::cookie::Cookie;
    use actix_web::{Error, test};

    use super::*;

    /// The headers with which `answer` to a client that takes zstd comes out, and its body.
    async fn sent(path: &str, answer: fn() -> HttpResponse) -> (HeaderMap, Bytes) {
        let request = test::TestRequest::get().uri(path).insert_header((header::ACCEPT_ENCODING, "gzip, zstd"));
        let response = compress(ServiceResponse::new(request.to_http_request(), answer())).await;
        (response.headers().clone(), test::read_body(response).await)
    }

    fn coding(answer: &(HeaderMap, Bytes)) -> Option<&[u8]> {
        answer.0.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes)
    }

    fn text() -> String {
        "a sentence that comes again. ".repeat(100)
    }

    #[tokio::test]
    async fn a_long_text_is_compressed_and_says_so() {
        let zstd = Some(&b"zstd"[..]);
        let answer = sent("/", || HttpResponse::Ok().json(text())).await;
        assert_eq!((coding(&answer), answer.0.get(header::VARY).unwrap().as_bytes()), (zstd, &b"Accept-Encoding"[..]));
        let plain = zstd::bulk::decompress(&answer.1, 10_000).unwrap();
        assert_eq!(serde_json::from_slice::<String>(&plain).unwrap(), text());
        let problem = || HttpResponse::NotFound().content_type("application/problem+json").body(text());
        assert_eq!(coding(&sent("/", problem).await), zstd);
        let weak = || HttpResponse::Ok().insert_header((header::ETAG, "W/\"1\"")).json(text());
        assert_eq!(coding(&sent("/", weak).await), zstd);
        let large = || HttpResponse::Ok().json(text().repeat(100));
        assert_eq!(coding(&sent("/", large).await), zstd);
    }

    #[tokio::test]
    async fn what_must_not_be_compressed_is_left_as_it_is() {
        let json = || HttpResponse::Ok().json(text());
        type Made = fn() -> HttpResponse;
        let answers: [(&str, Made); 8] = [
            ("/api/auth/login", json),
            ("/api/me/tokens", json),
            ("/", || HttpResponse::Ok().json("short")),
            ("/", || HttpResponse::Ok().cookie(Cookie::new("session", "secret")).json(text())),
            ("/", || HttpResponse::Ok().insert_header((header::ETAG, "\"1\"")).json(text())),
            ("/", || HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-transform")).json(text())),
            ("/", || HttpResponse::Ok().content_type("image/png").body(text())),
            ("/", || {
                let chunks = futures_util::stream::iter([Ok::<_, Error>(Bytes::from(text()))]);
                HttpResponse::Ok().content_type("text/event-stream").streaming(chunks)
            }),
        ];
        for (index, (path, answer)) in answers.into_iter().enumerate() {
            assert_eq!(coding(&sent(path, answer).await), None, "{index}");
        }
    }
}
