//! Files of questions as bodies, larger than other bodies may be.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::{StatusCode, header};
use actix_web::{FromRequest, HttpRequest};
use bellwork_shared::formats;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use tokio::time::timeout;
use utoipa::openapi::schema::{KnownFormat, Object, ObjectBuilder, SchemaFormat, SchemaType, Type};
use utoipa::openapi::{ContentBuilder, RefOr, Schema};

use crate::describe::{Description, Takes};
use crate::error::ApiError;
use crate::overload;

/// How long a file may take to arrive: the largest over a line of 70 kB/s.
const LONGEST: Duration = Duration::from_secs(120);

/// A body that is announced as a file of one of the formats.
#[derive(Clone, Debug)]
pub(crate) struct Upload {
    /// As what it is announced.
    pub(crate) media_type: &'static str,
    /// The file.
    pub(crate) bytes: Bytes,
}

impl FromRequest for Upload {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let media_type = announced(request);
        let length = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        let payload = payload.take();
        Box::pin(async move {
            let media_type = media_type.ok_or(ApiError::NotAFile)?;
            if length.is_some_and(|length: usize| length > formats::MAX_FILE) {
                return Err(ApiError::TooLarge);
            }
            let received = overload::receive(LONGEST, timeout(LONGEST, whole(payload))).await;
            let bytes = received.map_err(|_| ApiError::Framework(StatusCode::REQUEST_TIMEOUT))??;
            Ok(Self { media_type, bytes })
        })
    }
}

async fn whole(mut payload: Payload) -> Result<Bytes, ApiError> {
    let mut file = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| ApiError::Framework(actix_web::ResponseError::status_code(&error)))?;
        if file.len() + chunk.len() > formats::MAX_FILE {
            return Err(ApiError::TooLarge);
        }
        file.extend_from_slice(&chunk);
    }
    Ok(file.freeze())
}

fn media_types() -> impl Iterator<Item = &'static str> {
    formats::ALL.iter().flat_map(|format| format.media_types).copied()
}

fn announced(request: &HttpRequest) -> Option<&'static str> {
    let announced = request.headers().get(header::CONTENT_TYPE)?.to_str().ok()?;
    let essence = announced.split(';').next().unwrap_or_default().trim();
    media_types().find(|known| essence.eq_ignore_ascii_case(known))
}

impl Takes for Upload {
    fn describe(description: &mut Description) {
        let file = || -> RefOr<Schema> {
            let format = Some(SchemaFormat::KnownFormat(KnownFormat::Binary));
            let file: Object = ObjectBuilder::new().schema_type(Type::String).format(format).build();
            file.into()
        };
        description.takes("text/plain", file());
        description.refuses(&[408]);
        for media_type in media_types() {
            // A document of any JSON is a file, too.
            let schema = if media_type == "application/json" { any() } else { file() };
            let content = ContentBuilder::new().schema(Some(schema)).build();
            description.body.iter_mut().for_each(|body| {
                body.content.insert(media_type.to_owned(), RefOr::T(content.clone()));
            });
        }
    }
}

fn any() -> RefOr<Schema> {
    Object::with_type(SchemaType::AnyValue).into()
}
