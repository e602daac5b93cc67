//! Registers the table with the server, so that a request finds its route soon.

use actix_web::web::{self, ServiceConfig};

use super::path::Path;
use super::{Role, served};
use crate::error::ApiError;

/// Beginnings of the paths that are asked most, to be tried first.
const OFTEN: &[&str] = &["/api/tests", "/api/notifications", "/api/attempts", "/api/leaderboard"];

/// Registers what `role` serves. Any other path is a 404. Paths are tried in the order of their registration, and one with
/// parameters costs an expression each time: so there is a scope for each beginning, and those without come first in it.
pub(crate) fn register(services: &mut ServiceConfig, role: Role) {
    let (literal, other): (Vec<_>, Vec<_>) = served(role).into_iter().partition(Path::is_literal);
    let mut beginnings: Vec<(&str, Vec<Path>)> = Vec::new();
    for path in literal.into_iter().chain(other) {
        match beginnings.iter_mut().find(|(beginning, _)| *beginning == path.beginning()) {
            Some((_, paths)) => paths.push(path),
            None => beginnings.push((path.beginning(), vec![path])),
        }
    }
    beginnings.sort_by_key(|(beginning, _)| OFTEN.iter().position(|often| often == beginning).unwrap_or(OFTEN.len()));
    for (beginning, paths) in beginnings {
        let resources = paths.into_iter().map(|path| path.into_resource(beginning.len()));
        services.service(resources.fold(web::scope(beginning), actix_web::Scope::service));
    }
    services.default_service(web::to(async || -> Result<String, ApiError> { Err(ApiError::NotFound) }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::all;

    /// What matches a scope is never looked for in another.
    #[test]
    fn no_scope_takes_the_paths_of_another() {
        let paths = all();
        for path in &paths {
            let beginning = path.beginning();
            assert!(beginning.matches('/').count() == 2 && !beginning.contains('{'), "{}", path.pattern());
        }
        for often in OFTEN {
            assert!(paths.iter().any(|path| path.beginning() == *often), "{often}");
        }
    }
}
