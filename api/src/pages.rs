//! Pages that mailed links open: the only HTML that belongs to the API itself. Each is one file, with the script below;
//! a policy lets it do nothing but ask its own path.

use actix_web::body::BoxBody;
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, Responder};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use sha2::{Digest, Sha256};
use utoipa::openapi::schema::{Object, Type};

use crate::describe::{Answers, Description};

const HTML: &str = "text/html; charset=utf-8";
/// Takes the token out of the address bar, and posts it when the person says so.
const SCRIPT: &str = include_str!("pages/link.js");
const STYLE: &str = include_str!("pages/link.css");

/// A page.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    html: Bytes,
    policy: String,
}

impl Page {
    /// `html` with the style and the script in their places.
    #[must_use]
    pub(crate) fn new(html: &str) -> Self {
        let hash = |text: &str| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)));
        let policy = format!(
            "default-src 'none'; script-src {}; style-src {}; connect-src 'self'; base-uri 'none'; form-action 'none'; \
             frame-ancestors 'none'",
            hash(SCRIPT),
            hash(STYLE),
        );
        Self { html: html.replace("{{style}}", STYLE).replace("{{script}}", SCRIPT).into(), policy }
    }
}

impl Responder for Page {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        HttpResponse::Ok()
            .insert_header((header::CONTENT_TYPE, HTML))
            .insert_header((header::CONTENT_SECURITY_POLICY, self.policy))
            .insert_header((header::REFERRER_POLICY, "no-referrer"))
            .body(self.html)
    }
}

impl Answers for Page {
    fn describe(description: &mut Description) {
        description.answers(200, "A page for people.", "text/html", Object::with_type(Type::String).into());
    }
}
