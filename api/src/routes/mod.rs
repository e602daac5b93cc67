//! THE TABLE of routes: every path, its methods, who may use them, and which function answers. A new route is one function
//! in a file here and one line below.

mod admin_jobs;
mod admin_queues;
mod attempts;
mod auth;
mod health;
mod jobs;
mod leaderboard;
mod me;
mod metrics;
mod notifications;
mod path;
mod practice_tests;
mod stream;

use actix_web::web::{self, ServiceConfig};

use self::path::{Path, at};
use crate::auth::Access::{Admins, Anyone, SignedIn};
use crate::error::ApiError;

/// What a process serves. Health and metrics belong to all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Role {
    /// Everything.
    All,
    /// All but the streams.
    Web,
    /// The streams alone.
    Stream,
}

fn always() -> Vec<Path> {
    vec![
        at("/api/health").query(Anyone, health::detail),
        at("/api/health/live").query(Anyone, health::live),
        at("/api/health/ready").query(Anyone, health::ready),
        at("/api/metrics").query(Anyone, metrics::render),
    ]
}

fn streams() -> Vec<Path> {
    vec![at("/api/notifications/stream").stream(stream::open)]
}

fn web() -> Vec<Path> {
    vec![
        at("/api/auth/register").post(Anyone, auth::register),
        at("/api/auth/login").post(Anyone, auth::login),
        at("/api/auth/logout").post(SignedIn, auth::logout),
        at("/api/me").get(SignedIn, me::profile),
        at("/api/me/sessions").query(SignedIn, me::sessions),
        at("/api/me/sessions/{id}").delete(SignedIn, me::end_session),
        at("/api/tests").query(Anyone, practice_tests::list),
        at("/api/tests/{id}").get(Anyone, practice_tests::sheet),
        at("/api/attempts").query(SignedIn, attempts::list).post(SignedIn, attempts::submit),
        at("/api/attempts/{id}").get(SignedIn, attempts::show),
        at("/api/jobs/{id}").get(SignedIn, jobs::show).delete(SignedIn, jobs::cancel),
        at("/api/leaderboard").query(SignedIn, leaderboard::show),
        at("/api/notifications").query(SignedIn, notifications::list),
        at("/api/notifications/read-all").post(SignedIn, notifications::read_all),
        at("/api/notifications/{id}/read").post(SignedIn, notifications::read),
        at("/api/admin/queues").get(Admins, admin_queues::list),
        at("/api/admin/queues/{name}/pause").post(Admins, admin_queues::pause),
        at("/api/admin/queues/{name}/resume").post(Admins, admin_queues::resume),
        at("/api/admin/jobs/{id}").get(Admins, admin_jobs::show),
        at("/api/admin/jobs/{id}/cancel").post(Admins, admin_jobs::cancel),
        at("/api/admin/jobs/{id}/retry").post(Admins, admin_jobs::retry),
    ]
}

/// Registers what `role` serves. Any other path is a 404.
pub(crate) fn register(services: &mut ServiceConfig, role: Role) {
    let mut paths = always();
    if role != Role::Stream {
        paths.extend(web());
    }
    if role != Role::Web {
        paths.extend(streams());
    }
    for path in paths {
        services.service(path.into_resource());
    }
    services.default_service(web::to(async || -> Result<String, ApiError> { Err(ApiError::NotFound) }));
}
