//! Public figures.

use actix_web::web;
use bellwork_shared::database::is_transient;
use bellwork_shared::stats::Figures;

use crate::app::App;
use crate::error::ApiError;
use crate::reply::Json;

/// `GET /api/stats`
pub(super) async fn show(app: web::Data<App>) -> Result<Json<Figures>, ApiError> {
    // One failure is told to all who waited for the same figures, so it is nobody's own.
    app.stats.read().await.map(Json).map_err(|error| match is_transient(&error) {
        true => ApiError::Unavailable(error.into()),
        false => ApiError::Internal(error.into()),
    })
}
