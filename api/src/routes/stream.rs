//! The live stream of a student's notifications.

use std::convert::Infallible;

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::middleware::Next;
use actix_web::{Error, HttpRequest, HttpResponse, HttpResponseBuilder, Responder, web};
use futures_util::stream;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa::openapi::Required;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

use crate::app::App;
use crate::auth::caller::InSession;
use crate::describe::{Answers, Description};
use crate::error::ApiError;
use crate::hub::{self, Opening};
use crate::input::Query;

/// Where a stream goes on.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Resuming {
    /// The id of the last event that was seen; the header `Last-Event-ID` wins.
    last_event_id: Option<String>,
}

/// Server-Sent Events.
pub(super) struct Events(HttpResponse);

impl Responder for Events {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        self.0
    }
}

impl Answers for Events {
    fn describe(description: &mut Description) {
        let says = "The id of the last event that was seen.";
        let text = ObjectBuilder::new().schema_type(Type::String).build();
        description.header("Last-Event-ID", says, Required::False, text.into());
        let says = "`hello`, then `notification`, `progress` and `reset` as they happen.";
        description.answers(200, says, "text/event-stream", Object::with_type(Type::String).into());
    }
}

/// `GET /api/notifications/stream`
pub(super) async fn open(
    app: web::Data<App>,
    caller: InSession,
    request: HttpRequest,
    query: Query<Resuming>,
) -> Result<Events, ApiError> {
    if app.is_draining() {
        return Ok(Events(turned_away(&app)));
    }
    let header = request.headers().get("last-event-id").map(|id| id.to_str().unwrap_or("?"));
    let last_event_id =
        header.filter(|id| !id.is_empty()).or(query.0.last_event_id.as_deref()).filter(|id| !id.is_empty());
    let epoch = &app.installation().await?.stream_epoch;
    let events = hub::open(&app.hub, &app.database, Opening { caller: &caller, epoch, last_event_id }).await?;
    Ok(Events(answer().streaming(events)))
}

/// Turns an answer of 5xx into a stream that ends at once: a browser never comes back after another status than 200.
///
/// # Errors
/// Those of the route.
pub(super) async fn shed(request: ServiceRequest, next: Next<BoxBody>) -> Result<ServiceResponse, Error> {
    let answer = next.call(request).await?;
    if !answer.status().is_server_error() && answer.status() != StatusCode::TOO_MANY_REQUESTS {
        return Ok(answer);
    }
    let (request, response) = answer.into_parts();
    let cause = response.error().and_then(|error| error.as_error::<ApiError>()).and_then(ApiError::cause);
    tracing::warn!(cause = cause.map(|cause| format!("{cause:#}")), "a stream is turned away");
    let app = request.app_data::<web::Data<App>>().expect("the application's state is registered at its start");
    let response = turned_away(app);
    Ok(ServiceResponse::new(request, response))
}

fn turned_away(app: &App) -> HttpResponse {
    let end = Ok::<_, Infallible>(hub::come_back(app.config.stream_drain));
    answer().streaming(stream::iter([end]))
}

fn answer() -> HttpResponseBuilder {
    let mut answer = HttpResponse::build(StatusCode::OK);
    answer.insert_header((header::CONTENT_TYPE, "text/event-stream"));
    answer.insert_header((header::CACHE_CONTROL, "no-store"));
    answer.insert_header(("x-accel-buffering", "no"));
    answer
}
