//! Revisions: an `ETag` says which one was read, `If-Match` which one may be changed.

use actix_web::body::BoxBody;
use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest, HttpResponse, Responder};
use bellwork_shared::authoring::Expected;
use futures_util::future::{Ready, ready};
use utoipa::openapi::Required;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};

use crate::describe::{Answers, Description, Takes};
use crate::error::ApiError;

/// The header `If-Match`: `*`, or the tags of revisions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IfMatch(pub(crate) Expected);

/// The same header, which the client must send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MustMatch(pub(crate) Expected);

/// What the header says, if it is there. Weak tags match nothing. Tags that are all none of ours are a client's mistake and
/// no sign of a change: 409, where a revision that has passed is a 412.
fn read(request: &HttpRequest) -> Result<Option<Expected>, ApiError> {
    let header = request.headers().get(header::IF_MATCH);
    header.map(|value| expected(value.to_str().unwrap_or_default())).transpose()
}

fn expected(value: &str) -> Result<Expected, ApiError> {
    if value.trim() == "*" {
        return Ok(Expected::Any);
    }
    let tag = |tag: &str| tag.trim().strip_prefix("\"r")?.strip_suffix('"')?.parse().ok();
    let tags: Vec<_> = value.split(',').filter_map(tag).collect();
    if tags.is_empty() {
        return Err(ApiError::Conflict(
            "The header If-Match names no revision of ours; send the ETag that you have read.",
        ));
    }
    Ok(Expected::OneOf(tags))
}

impl FromRequest for IfMatch {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(read(request).map(|expected| Self(expected.unwrap_or(Expected::Any))))
    }
}

impl FromRequest for MustMatch {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(read(request).and_then(|expected| expected.map(Self).ok_or(ApiError::RevisionRequired)))
    }
}

impl Takes for IfMatch {
    fn describe(description: &mut Description) {
        description.header("If-Match", SAYS, Required::False, schema());
        description.refuses(&[409, 412]);
    }
}

impl Takes for MustMatch {
    fn describe(description: &mut Description) {
        description.header("If-Match", SAYS, Required::True, schema());
        description.refuses(&[409, 412, 422]);
    }
}

const SAYS: &str = "The ETag of the revision that may be changed, or `*` for any.";

fn schema() -> Schema {
    ObjectBuilder::new().schema_type(Type::String).build().into()
}

/// A reply with the `ETag` of a revision.
#[derive(Debug)]
pub(crate) struct Revised<R> {
    /// The reply.
    pub(crate) reply: R,
    /// The revision.
    pub(crate) revision: i32,
}

impl<R: Responder<Body = BoxBody>> Responder for Revised<R> {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        let mut response = self.reply.respond_to(request);
        let tag = format!("\"r{}\"", self.revision).parse().expect("digits and quotes are a header value");
        response.headers_mut().insert(header::ETAG, tag);
        response
    }
}

impl<R: Answers> Answers for Revised<R> {
    fn describe(description: &mut Description) {
        R::describe(description);
        for status in [200, 201] {
            description.answers_with_header(status, "ETag", "The revision, for `If-Match`.");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strong_tags_of_ours_are_read_and_nothing_else() {
        assert_eq!(expected(" * ").unwrap(), Expected::Any);
        assert_eq!(expected("\"r3\"").unwrap(), Expected::OneOf(vec![3]));
        assert_eq!(expected("\"r3\", \"abc\",\"r5\"").unwrap(), Expected::OneOf(vec![3, 5]));
        for none in ["", "r3", "W/\"r3\"", "\"3\"", "\"r99999999999\""] {
            assert!(matches!(expected(none), Err(ApiError::Conflict(_))), "{none}");
        }
    }
}
