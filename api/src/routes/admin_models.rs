//! AI models, as operators keep them.

use actix_web::web;
use bellwork_shared::models::{self, Model, ModelChange, NewModel, Stored};

use super::models::Named;
use crate::app::App;
use crate::error::ApiError;
use crate::input::Body;
use crate::reply::{Created, Json};

/// `POST /api/admin/models`
pub(super) async fn create(app: web::Data<App>, body: Body<NewModel>) -> Result<Created<Model>, ApiError> {
    match models::insert(&mut *app.database.acquire().await?, &body.value).await? {
        Stored::New(body) => Ok(Created { location: None, body }),
        Stored::SlugTaken => Err(ApiError::Conflict("Another model has this slug.")),
    }
}

/// `PATCH /api/admin/models/{slug}`: one that is no longer active keeps its votes.
pub(super) async fn change(
    app: web::Data<App>,
    model: Named,
    body: Body<ModelChange>,
) -> Result<Json<Model>, ApiError> {
    let changed = models::change(&mut *app.database.acquire().await?, &model.0, &body.value).await?;
    changed.map(Json).ok_or(ApiError::NotFound)
}
