//! Revisions: an `ETag` says which one was read, `If-Match` which one may be changed.

use actix_web::body::BoxBody;
use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest, HttpResponse, Responder};
use bellwork_shared::authoring::Expected;
use futures_util::future::{Ready, ready};
use utoipa::openapi::schema::{ObjectBuilder, Type};

use crate::describe::{Answers, Description, Takes};
use crate::error::ApiError;

/// The header `If-Match`: `*`, or the tags of revisions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IfMatch(Option<Expected>);

impl IfMatch {
    /// What the client expects; without the header anything.
    pub(crate) fn or_any(self) -> Expected {
        self.0.unwrap_or(Expected::Any)
    }

    /// What the client expects.
    ///
    /// # Errors
    /// 428 without the header.
    pub(crate) fn required(self) -> Result<Expected, ApiError> {
        self.0.ok_or(ApiError::RevisionRequired)
    }
}

/// A tag that is none of ours, or a weak one, matches nothing.
fn expected(value: &str) -> Expected {
    if value.trim() == "*" {
        return Expected::Any;
    }
    let tag = |tag: &str| tag.trim().strip_prefix('"')?.strip_suffix('"')?.parse().ok();
    Expected::OneOf(value.split(',').filter_map(tag).collect())
}

impl FromRequest for IfMatch {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let header = request.headers().get(header::IF_MATCH);
        ready(Ok(Self(header.map(|value| expected(value.to_str().unwrap_or_default())))))
    }
}

impl Takes for IfMatch {
    fn describe(description: &mut Description) {
        let schema = ObjectBuilder::new().schema_type(Type::String);
        description.header("If-Match", "The ETag of the revision that may be changed.", schema.build().into());
        description.refuses(&[412, 428]);
    }
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
        let tag = format!("\"{}\"", self.revision).parse().expect("digits and quotes are a header value");
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
        assert_eq!(expected(" * "), Expected::Any);
        assert_eq!(expected("\"3\""), Expected::OneOf(vec![3]));
        assert_eq!(expected("\"3\", \"abc\",\"5\""), Expected::OneOf(vec![3, 5]));
        for none in ["", "3", "W/\"3\"", "\"99999999999\""] {
            assert_eq!(expected(none), Expected::OneOf(Vec::new()), "{none}");
        }
    }
}
