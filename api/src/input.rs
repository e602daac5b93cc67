//! Reading what clients send: bodies, queries and ids, with a JSON pointer to what is wrong.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::str::FromStr;

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest, web};
use bytes::Bytes;
use futures_util::future::{Ready, ready};
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_path_to_error::{Path, Segment};
use utoipa::openapi::RefOr;
use utoipa::openapi::path::ParameterIn;
use utoipa::openapi::schema::{Schema, SchemaType, Type};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use crate::describe::{Description, Parameters, Takes};
use crate::error::ApiError;
use crate::problem::InputError;

/// The largest body, in bytes: a test of 500 questions with their keys and explanations fits.
pub(crate) const MAX_BODY: usize = 1024 * 1024;

/// A JSON body, read into a `T` that knows all its fields.
#[derive(Clone, Debug)]
pub(crate) struct Body<T> {
    /// What it says.
    pub(crate) value: T,
    /// As it was sent.
    pub(crate) bytes: Bytes,
}

/// Reads a `T`: 400 if it is not JSON, 422 if it is not a `T`.
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let Object(value) = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        // Parsing stops at the first thing wrong; whether the rest is JSON decides what to call it.
        let is_json = serde_json::from_slice::<IgnoredAny>(bytes).is_ok();
        let error = input_error(&error);
        if is_json { ApiError::Invalid(vec![error]) } else { ApiError::Malformed(error) }
    })?;
    json.end().map_err(|error| ApiError::Malformed(InputError::at("", sentence(&error.to_string()))))?;
    Ok(value)
}

impl<T: DeserializeOwned> FromRequest for Body<T> {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let announced = is_json(request);
        let bytes = Bytes::from_request(request, payload);
        Box::pin(async move {
            if !announced {
                return Err(ApiError::NotJson);
            }
            let bytes = bytes.await.map_err(|error| match error.as_error::<PayloadError>() {
                Some(PayloadError::Overflow) => ApiError::TooLarge,
                _ => ApiError::Framework(error.as_response_error().status_code()),
            })?;
            Ok(Self { value: parse(&bytes)?, bytes })
        })
    }
}

impl<T: ToSchema> Takes for Body<T> {
    fn describe(description: &mut Description) {
        // In place: two bodies may have types of one name, and not all programs that read documents follow a reference here.
        description.schema::<T>();
        description.takes("application/json", T::schema());
    }
}

/// A `T` written as a JSON object. A derived struct alone would take an array of its fields too.
#[derive(Clone, Debug)]
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

impl<T: PartialSchema> PartialSchema for Object<T> {
    fn schema() -> RefOr<Schema> {
        T::schema()
    }
}

impl<T: ToSchema> ToSchema for Object<T> {
    fn name() -> Cow<'static, str> {
        T::name()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        T::schemas(schemas);
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Object)
    }
}

/// The limit on bodies, for the application's data.
#[must_use]
pub(crate) fn payload_config() -> web::PayloadConfig {
    web::PayloadConfig::new(MAX_BODY)
}

fn is_json(request: &HttpRequest) -> bool {
    let announced = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = announced.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

/// The query, read into a `T` that knows all its parameters.
#[derive(Clone, Debug)]
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest for Query<T> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let pairs = url::form_urlencoded::parse(request.query_string().as_bytes());
        let read = serde_path_to_error::deserialize(serde_urlencoded::Deserializer::new(pairs));
        ready(read.map(Self).map_err(|error| ApiError::Invalid(vec![input_error(&error)])))
    }
}

impl<T: IntoParams> Takes for Query<T> {
    const PARAMETERS: Parameters = Parameters::Read;

    fn describe(description: &mut Description) {
        for mut parameter in T::into_params(|| Some(ParameterIn::Query)) {
            parameter.parameter_in = ParameterIn::Query;
            parameter.schema = parameter.schema.map(without_null);
            if parameter.name == "cursor" {
                description.refuses(&[404]);
            }
            description.parameters.push(parameter);
        }
        description.refuses(&[422]);
    }
}

/// A query leaves out what it does not say: it has no null.
fn without_null(schema: RefOr<Schema>) -> RefOr<Schema> {
    match schema {
        RefOr::T(Schema::Object(mut object)) => {
            if let SchemaType::Array(types) = &object.schema_type {
                let named = types.iter().find(|named| **named != Type::Null).cloned();
                object.schema_type = named.map_or(SchemaType::AnyValue, SchemaType::Type);
            }
            RefOr::T(Schema::Object(object))
        }
        RefOr::T(Schema::OneOf(one_of)) => {
            let is_null = |item: &RefOr<Schema>| matches!(item, RefOr::T(Schema::Object(object)) if object.schema_type == SchemaType::Type(Type::Null));
            let items = one_of.items.clone();
            items.into_iter().find(|item| !is_null(item)).unwrap_or(RefOr::T(Schema::OneOf(one_of)))
        }
        schema => schema,
    }
}

/// The `{id}` of a path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Id<T>(pub(crate) T);

impl<T: FromStr> FromRequest for Id<T> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let id = request.match_info().get("id").and_then(|text| text.parse().ok());
        ready(id.map(Self).ok_or(ApiError::NotFound))
    }
}

impl<T: PartialSchema> Takes for Id<T> {
    fn describe(description: &mut Description) {
        description.path_parameter("id", T::schema());
    }
}

fn input_error<E: fmt::Display>(error: &serde_path_to_error::Error<E>) -> InputError {
    let message = error.inner().to_string();
    let mut pointer = pointer(error.path());
    // The two messages of a derived struct whose path ends above the field they name.
    let named = ["missing field `", "duplicate field `"].iter().find_map(|start| message.strip_prefix(start));
    if let Some(rest) = named {
        push_segment(&mut pointer, rest.split('`').next().unwrap_or_default());
    }
    InputError { pointer, detail: sentence(&message) }
}

fn pointer(path: &Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => push_segment(&mut pointer, &index.to_string()),
            Segment::Map { key } | Segment::Enum { variant: key } => push_segment(&mut pointer, key),
            Segment::Unknown => {}
        }
    }
    pointer
}

/// RFC 6901 escapes two characters.
fn push_segment(pointer: &mut String, segment: &str) {
    pointer.push('/');
    pointer.push_str(&segment.replace('~', "~0").replace('/', "~1"));
}

/// A parser's message without its place in the text, which the pointer tells better.
fn sentence(message: &str) -> String {
    let message = message.split(" at line ").next().unwrap_or_default();
    let mut characters = message.chars();
    let first = characters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", characters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only the reading is tested")]
    struct Order {
        name: String,
        lines: Vec<Line>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only the reading is tested")]
    struct Line {
        count: Option<u8>,
    }

    fn read(text: &str) -> Result<Order, ApiError> {
        parse(text.as_bytes())
    }

    #[test]
    fn what_is_wrong_has_a_pointer() {
        for (text, pointer) in [
            (r#"{"name": 1, "lines": []}"#, "/name"),
            (r#"{"lines": []}"#, "/name"),
            (r#"{"name": "a", "lines": [{"count": 1}, {"count": 300}]}"#, "/lines/1/count"),
            (r#"{"name": "a", "lines": [{"a/b~c": 1}]}"#, "/lines/0/a~1b~0c"),
            (r#"{"name": "a", "name": "b"}"#, "/name"),
            ("[]", ""),
            (r#"["a", []]"#, ""),
        ] {
            match read(text) {
                Err(ApiError::Invalid(errors)) => assert_eq!(errors[0].pointer, pointer, "{text}: {errors:?}"),
                other => panic!("{text}: {other:?}"),
            }
        }
    }

    #[test]
    fn what_is_not_json_is_malformed() {
        let deep = "[".repeat(100_000);
        for text in ["", "{", "{} {}", r#"{"name": NaN}"#, "\u{feff}{}", &deep] {
            assert!(matches!(read(text), Err(ApiError::Malformed(_))), "{}", &text[..text.len().min(20)]);
        }
        assert!(matches!(read(r#"{"name": NaN}"#), Err(ApiError::Malformed(error)) if error.pointer == "/name"));
    }

    #[test]
    fn a_parsers_message_becomes_a_sentence() {
        assert_eq!(sentence("missing field `a` at line 1 column 2"), "Missing field `a`.");
    }
}
