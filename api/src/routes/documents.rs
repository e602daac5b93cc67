//! The OpenAPI document, and the page on which people read and try it. All that the page needs is in the binary.

use std::borrow::Cow;
use std::sync::Arc;

use actix_web::body::BoxBody;
use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{FromRequest, HttpRequest, HttpResponse, Responder, web};
use bytes::Bytes;
use futures_util::future::{Ready, ready};
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

use crate::app::App;
use crate::cookies::cookie_name;
use crate::describe::{Answers, Description, Takes};
use crate::error::ApiError;
use crate::openapi::document;

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
/// The page loads from here alone; its library writes styles into the page and icons as data.
const PAGE_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);
/// The files of the page's library that it loads.
const LIBRARY: &[&str] = &["swagger-ui.css", "swagger-ui-bundle.js"];
/// How long a browser keeps a file without asking. They change with a release alone.
const FRESH: HeaderValue = HeaderValue::from_static("public, max-age=3600");

/// The OpenAPI document.
pub(super) struct Document(Bytes);

/// A file of the page.
pub(super) struct File {
    content_type: Cow<'static, str>,
    bytes: Cow<'static, [u8]>,
}

/// The `{file}` of a path.
pub(super) struct Name(String);

/// `GET /api/openapi.json`
pub(super) async fn openapi(app: web::Data<App>) -> Document {
    let written = app.openapi.get_or_init(|| {
        let document = document(&super::all(), cookie_name(&app.config));
        Bytes::from(serde_json::to_vec(&document).expect("a document holds only strings, numbers and JSON"))
    });
    Document(written.clone())
}

/// `GET /api/docs`
pub(super) async fn page() -> File {
    File { content_type: HTML.into(), bytes: include_bytes!("../../documents/index.html").into() }
}

/// `GET /api/docs/{file}`
pub(super) async fn file(name: Name) -> Result<File, ApiError> {
    if name.0 == "start.js" {
        return Ok(File { content_type: SCRIPT.into(), bytes: include_bytes!("../../documents/start.js").into() });
    }
    let known = LIBRARY.iter().find(|file| **file == name.0).ok_or(ApiError::NotFound)?;
    let found = utoipa_swagger_ui::serve(known, Arc::new(utoipa_swagger_ui::Config::default()));
    let found = found.map_err(|error| anyhow::anyhow!("{known}: {error}"))?.ok_or(ApiError::NotFound)?;
    Ok(File { content_type: found.content_type.into(), bytes: found.bytes.into_owned().into() })
}

impl FromRequest for Name {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(request.match_info().get("file").map(|name| Self(name.to_owned())).ok_or(ApiError::NotFound))
    }
}

impl Takes for Name {
    fn describe(description: &mut Description) {
        let names = ["start.js"].iter().chain(LIBRARY).copied();
        let schema = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names));
        description.path_parameter("file", schema.into());
    }
}

impl Responder for Document {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        HttpResponse::Ok().insert_header((header::CONTENT_TYPE, "application/json")).body(self.0)
    }
}

impl Answers for Document {
    fn describe(description: &mut Description) {
        description.answers(200, "OpenAPI 3.1.", "application/json", Object::with_type(Type::Object).into());
    }
}

impl Responder for File {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        let mut response = HttpResponse::Ok();
        response.insert_header((header::CONTENT_SECURITY_POLICY, PAGE_POLICY));
        response.insert_header((header::CACHE_CONTROL, FRESH));
        response.insert_header((header::CONTENT_TYPE, &*self.content_type));
        match self.bytes {
            Cow::Borrowed(bytes) => response.body(bytes),
            Cow::Owned(bytes) => response.body(bytes),
        }
    }
}

impl Answers for File {
    fn describe(description: &mut Description) {
        for content_type in [HTML, "text/css", SCRIPT] {
            description.answers(200, "A file of the page.", content_type, Object::with_type(Type::String).into());
        }
    }
}
