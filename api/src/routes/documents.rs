//! The OpenAPI document, and the page on which people read it.

use actix_web::body::BoxBody;
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, Responder, web};
use bytes::Bytes;
use utoipa::openapi::schema::{Object, Type};

use crate::app::App;
use crate::auth::cookie_name;
use crate::describe::{Answers, Description};
use crate::openapi::document;

/// A document that stays the same while the process lives.
pub(super) struct Document(Bytes);

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

/// `GET /api/openapi.json`
pub(super) async fn openapi(app: web::Data<App>) -> Document {
    let written = app.openapi.get_or_init(|| {
        let document = document(&super::all(), cookie_name(&app.config));
        Bytes::from(serde_json::to_vec_pretty(&document).expect("a document holds only strings, numbers and JSON"))
    });
    Document(written.clone())
}
