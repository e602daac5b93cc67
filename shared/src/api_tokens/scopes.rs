//! THE TABLE of scopes: what a personal API token may be allowed to do. A stored name is a contract.

use serde::{Deserialize, Serialize};

use crate::users::Role;

/// Something that a token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
pub enum Scope {
    /// Look at what its owner sees, but for the account itself.
    #[serde(rename = "read")]
    Read,
    /// Take tests.
    #[serde(rename = "attempts:write")]
    AttemptsWrite,
    /// Cancel jobs.
    #[serde(rename = "jobs:write")]
    JobsWrite,
    /// Mark notifications as read.
    #[serde(rename = "notifications:write")]
    NotificationsWrite,
    /// Vote on models.
    #[serde(rename = "votes:write")]
    VotesWrite,
    /// Ask the AI, which costs.
    #[serde(rename = "ai:write")]
    AiWrite,
    /// Look at what operators see.
    #[serde(rename = "admin:read")]
    AdminRead,
    /// Do what operators do.
    #[serde(rename = "admin:write")]
    AdminWrite,
}

/// All scopes, their names, and who may give them to a token.
pub const ALL: &[(Scope, &str, Role)] = &[
    (Scope::Read, "read", Role::Student),
    (Scope::AttemptsWrite, "attempts:write", Role::Student),
    (Scope::JobsWrite, "jobs:write", Role::Student),
    (Scope::NotificationsWrite, "notifications:write", Role::Student),
    (Scope::VotesWrite, "votes:write", Role::Student),
    (Scope::AiWrite, "ai:write", Role::Student),
    (Scope::AdminRead, "admin:read", Role::Admin),
    (Scope::AdminWrite, "admin:write", Role::Admin),
];

impl Scope {
    /// Its stored name.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// Whether who has `role` may give it to a token.
    #[must_use]
    pub fn is_for(self, role: Role) -> bool {
        self.row().2 == Role::Student || role == Role::Admin
    }

    fn row(self) -> &'static (Self, &'static str, Role) {
        ALL.iter().find(|row| row.0 == self).expect("every scope is in the table, as a test says")
    }
}

/// Their stored names.
pub(super) fn names(scopes: &[Scope]) -> Vec<String> {
    scopes.iter().map(|scope| scope.name().to_owned()).collect()
}

/// The scopes of those names; a name from another release grants nothing.
pub(super) fn known(names: &[String]) -> Vec<Scope> {
    ALL.iter().filter(|row| names.iter().any(|name| name == row.1)).map(|row| row.0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_names_are_those_that_go_over_http() {
        for (scope, name, _) in ALL {
            assert_eq!(serde_json::to_value(scope).unwrap(), *name);
            assert_eq!(scope.name(), *name);
        }
        // A scope that were not in the table would have to stand here.
        let count = |scope| match scope {
            Scope::Read
            | Scope::AttemptsWrite
            | Scope::JobsWrite
            | Scope::NotificationsWrite
            | Scope::VotesWrite
            | Scope::AiWrite
            | Scope::AdminRead
            | Scope::AdminWrite => 8,
        };
        assert_eq!(ALL.len(), count(Scope::Read));
    }

    #[test]
    fn an_unknown_name_grants_nothing_and_a_student_cannot_give_what_operators_may() {
        assert_eq!(known(&["read".to_owned(), "everything".to_owned()]), [Scope::Read]);
        assert!(Scope::Read.is_for(Role::Student) && Scope::AdminWrite.is_for(Role::Admin));
        assert!(!Scope::AdminWrite.is_for(Role::Student));
    }
}
