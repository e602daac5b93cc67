//! THE TABLE of what can be run. A new kind is one file here and two lines below.

pub mod check_leaderboards;
pub mod close_sitting;
pub mod close_stale_sessions;
pub mod discard_exports;
pub mod explain_answer;
pub mod export_personal_data;
pub mod grade_attempt;
pub mod import_content;
pub mod mail_link;
pub mod make_flashcards;
pub mod notify_user;
pub mod plan_study;
pub mod prune_imports;
pub mod prune_leaderboards;
pub mod prune_ledger;
pub mod prune_votes;
pub mod request_password_reset;
pub mod review_votes;
pub mod send_email;
pub mod update_leaderboard;

use crate::job::Kind;

/// All kinds.
pub static ALL: &[Kind] = &[
    Kind::of::<check_leaderboards::CheckLeaderboards>(),
    Kind::of::<close_sitting::CloseSitting>(),
    Kind::of::<close_stale_sessions::CloseStaleSessions>(),
    Kind::of::<discard_exports::DiscardExports>(),
    Kind::of::<explain_answer::ExplainAnswer>(),
    Kind::of::<export_personal_data::ExportPersonalData>(),
    Kind::of::<grade_attempt::GradeAttempt>(),
    Kind::of::<import_content::ImportContent>(),
    Kind::of::<mail_link::MailLink>(),
    Kind::of::<make_flashcards::MakeFlashcards>(),
    Kind::of::<notify_user::NotifyUser>(),
    Kind::of::<plan_study::PlanStudy>(),
    Kind::of::<prune_imports::PruneImports>(),
    Kind::of::<prune_leaderboards::PruneLeaderboards>(),
    Kind::of::<prune_ledger::PruneLedger>(),
    Kind::of::<prune_votes::PruneVotes>(),
    Kind::of::<request_password_reset::RequestPasswordReset>(),
    Kind::of::<review_votes::ReviewVotes>(),
    Kind::of::<send_email::SendEmail>(),
    Kind::of::<update_leaderboard::UpdateLeaderboard>(),
];

/// What a worker must be able to read to run a job.
#[must_use]
pub fn reading(kind: &str, version: u16) -> String {
    format!("{kind} {version}")
}

/// All that this version of the program can read.
#[must_use]
pub fn readable() -> Vec<String> {
    ALL.iter().flat_map(|kind| (1..=kind.version).map(|version| reading(kind.name, version))).collect()
}

/// The kind with that stored name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Kind> {
    ALL.iter().find(|kind| kind.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_here_is_in_the_table() {
        let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/kinds")).unwrap();
        let mut files: Vec<_> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        files.retain(|file| file != "mod.rs");
        files.sort();
        let kinds: Vec<_> = ALL.iter().map(|kind| format!("{}.rs", kind.name)).collect();
        assert_eq!(files, kinds, "the table is sorted by name");
    }

    #[test]
    fn stored_names_and_limits_are_a_contract() {
        let row = |kind: &Kind| (kind.name, kind.version, kind.queue.name, kind.priority.name(), kind.max_attempts);
        let table = [
            ("check_leaderboards", 1, "maintenance", "normal", 5),
            ("close_sitting", 1, "maintenance", "high", 5),
            ("close_stale_sessions", 1, "maintenance", "normal", 5),
            ("discard_exports", 1, "maintenance", "normal", 5),
            ("explain_answer", 1, "ai", "normal", 4),
            ("export_personal_data", 1, "maintenance", "normal", 5),
            ("grade_attempt", 1, "ai", "normal", 5),
            ("import_content", 1, "maintenance", "normal", 3),
            ("mail_link", 1, "email", "high", 5),
            ("make_flashcards", 1, "ai", "normal", 4),
            ("notify_user", 1, "notification", "high", 5),
            ("plan_study", 1, "ai", "normal", 4),
            ("prune_imports", 1, "maintenance", "normal", 5),
            ("prune_leaderboards", 1, "maintenance", "normal", 5),
            ("prune_ledger", 1, "maintenance", "normal", 5),
            ("prune_votes", 1, "maintenance", "normal", 5),
            ("request_password_reset", 1, "email", "high", 5),
            ("review_votes", 1, "maintenance", "normal", 5),
            ("send_email", 1, "email", "normal", 5),
            ("update_leaderboard", 1, "leaderboard", "high", 5),
        ];
        assert_eq!(ALL.iter().map(row).collect::<Vec<_>>(), table);
    }
}
