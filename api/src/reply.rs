//! What handlers answer: the status is the type, so that the OpenAPI document knows it.

use actix_web::body::BoxBody;
use actix_web::cookie::Cookie;
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, Responder};
use serde::Serialize;
use utoipa::ToSchema;

use crate::describe::{Answers, Description};

const JSON: &str = "application/json";

/// 200 with a body.
#[derive(Debug)]
pub(crate) struct Json<T>(pub(crate) T);

/// 201 with a body and the address of what was made.
#[derive(Debug)]
pub(crate) struct Created<T> {
    /// The path of what was made, unless only the body tells of it.
    pub(crate) location: Option<String>,
    /// The body.
    pub(crate) body: T,
}

/// 202 with a body: a job does the rest.
#[derive(Debug)]
pub(crate) struct Accepted<T> {
    /// Where to look for the result.
    pub(crate) location: String,
    /// The body.
    pub(crate) body: T,
}

/// 204.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NoContent;

/// A reply that also sets a cookie.
#[derive(Debug)]
pub(crate) struct WithCookie<R> {
    /// The reply.
    pub(crate) reply: R,
    /// The cookie.
    pub(crate) cookie: Cookie<'static>,
}

impl<T: Serialize> Responder for Json<T> {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        HttpResponse::Ok().json(self.0)
    }
}

impl<T: Serialize> Responder for Created<T> {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        let mut response = HttpResponse::Created();
        if let Some(location) = self.location {
            response.insert_header((header::LOCATION, location));
        }
        response.json(self.body)
    }
}

impl<T: Serialize> Responder for Accepted<T> {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        HttpResponse::Accepted().insert_header((header::LOCATION, self.location)).json(self.body)
    }
}

impl Responder for NoContent {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        HttpResponse::NoContent().finish()
    }
}

impl<R: Responder<Body = BoxBody>> Responder for WithCookie<R> {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        let mut response = self.reply.respond_to(request);
        if let Err(error) = response.add_cookie(&self.cookie) {
            return HttpResponse::from_error(error);
        }
        response
    }
}

impl<T: ToSchema> Answers for Json<T> {
    fn describe(description: &mut Description) {
        let schema = description.schema::<T>();
        description.answers(200, "As asked.", JSON, schema);
    }
}

impl<T: ToSchema> Answers for Created<T> {
    fn describe(description: &mut Description) {
        let schema = description.schema::<T>();
        description.answers(201, "Made.", JSON, schema);
        description.answers_with_header(201, "Location", "Where it is, unless only the body tells of it.");
    }
}

impl<T: ToSchema> Answers for Accepted<T> {
    fn describe(description: &mut Description) {
        let schema = description.schema::<T>();
        description.answers(202, "Accepted for good; a job does the rest.", JSON, schema);
        description.answers_with_header(202, "Location", "Where to look for the result.");
    }
}

impl Answers for NoContent {
    fn describe(description: &mut Description) {
        description.answers_empty(204, "Done; there is nothing to show.");
    }
}

impl<R: Answers> Answers for WithCookie<R> {
    fn describe(description: &mut Description) {
        R::describe(description);
        for status in [200, 201, 204] {
            description.answers_with_header(status, "Set-Cookie", "The session's cookie.");
        }
    }
}
