//! Public figures.

use actix_web::web;
use bellwork_shared::cache::{Key, Scope};
use bellwork_shared::stats::{self, Figures};

use crate::app::App;
use crate::cached::{Audience, Cached, cached};
use crate::error::ApiError;

/// `GET /api/stats`
pub(super) async fn show(app: web::Data<App>) -> Result<Cached<Figures>, ApiError> {
    let (key, database) = (Key { scope: Scope::Stats, name: "".into() }, app.database.clone());
    let load = async move || Ok(Some(stats::figures(&mut *database.acquire().await?).await?));
    cached(&app.caches, key, Audience::Everybody, load).await
}
