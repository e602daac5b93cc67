//! The export of all that is kept about the caller.

use actix_web::body::BoxBody;
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, Responder, web};
use bellwork_jobs::kinds::export_personal_data::ExportPersonalData;
use bellwork_shared::ledger;
use bellwork_shared::personal_data::documents;
use utoipa::openapi::schema::{Object, Type};

use super::links::{self, JobAccepted};
use crate::app::App;
use crate::auth::caller::InSession;
use crate::describe::{Answers, Description};
use crate::error::ApiError;
use crate::reply::Accepted;

/// What a browser calls the file.
const ATTACHMENT: &str = "attachment; filename=\"bellwork.json\"";

/// A document that was made before.
pub(super) struct Document(String);

/// `POST /api/me/export`: while one is being made, its job is the answer.
pub(super) async fn request(
    app: web::Data<App>,
    caller: InSession,
    request: HttpRequest,
) -> Result<Accepted<JobAccepted>, ApiError> {
    let user_id = caller.user.id;
    let job = links::job(&ExportPersonalData { user_id }, user_id, &request);
    let mut tx = app.database.begin().await?;
    let job_id = documents::request(&mut tx, user_id, job.id).await?;
    if job_id == job.id {
        ledger::insert(&mut tx, std::slice::from_ref(&job)).await?;
        tx.commit().await?;
        app.push(std::slice::from_ref(&job)).await;
    }
    Ok(Accepted { location: "/api/me/export".to_owned(), body: JobAccepted { job_id } })
}

/// `GET /api/me/export`
pub(super) async fn show(app: web::Data<App>, caller: InSession) -> Result<Document, ApiError> {
    let newest = documents::newest(&mut *app.database.acquire().await?, caller.user.id).await?;
    newest.map(|export| Document(export.document)).ok_or(ApiError::NotFound)
}

impl Responder for Document {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        HttpResponse::Ok()
            .insert_header((header::CONTENT_TYPE, "application/json"))
            .insert_header((header::CONTENT_DISPOSITION, ATTACHMENT))
            .body(self.0)
    }
}

impl Answers for Document {
    fn describe(description: &mut Description) {
        let object = Object::with_type(Type::Object).into();
        description.answers(200, "All that is kept, table by table.", "application/json", object);
    }
}
