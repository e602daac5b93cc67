//! What is kept of a person, how they get it, and how it is erased: THE TABLE. A table of the database that names a user
//! and stands neither here nor among the exceptions fails a test, and so does a column that nobody has thought of.

pub mod documents;
pub mod erasure;
pub mod export;
#[cfg(test)]
mod tests;

/// A table that holds something of a person.
#[derive(Debug)]
pub struct Holding {
    /// Its name.
    pub table: &'static str,
    /// Its column with the user's id.
    pub user: &'static str,
    /// The columns that the user gets.
    pub exported: &'static [&'static str],
    /// The columns that the user does not get: secrets, and what says nothing of them.
    pub withheld: &'static [&'static str],
    /// Its column with the ids of jobs done for the user, if it has one: their rows are emptied too.
    pub jobs: Option<&'static str>,
    /// What becomes of its rows when the user is erased.
    pub erasure: Erasure,
}

/// What becomes of a user's rows.
#[derive(Debug)]
pub enum Erasure {
    /// They go.
    Deleted,
    /// They go to the shell, so that the scores of others stay right, with these further assignments.
    Anonymised(&'static str),
    /// The row of the user: it goes last, when nothing depends on it any more.
    TheUser,
}

/// All that is kept of a person.
pub static ALL: &[Holding] = &[
    Holding {
        table: "users",
        user: "id",
        exported: &["id", "email", "display_name", "role", "created_at", "email_verified_at", "leaderboard_visible"],
        withheld: &["password_hash", "erased_at"],
        jobs: None,
        erasure: Erasure::TheUser,
    },
    Holding {
        table: "sessions",
        user: "user_id",
        exported: &["id", "user_agent", "created_at", "last_seen_at", "expires_at"],
        withheld: &["token_hash", "idle_at"],
        jobs: None,
        erasure: Erasure::Deleted,
    },
    Holding {
        table: "api_tokens",
        user: "user_id",
        exported: &["id", "name", "scopes", "created_at", "expires_at", "last_used_at"],
        withheld: &["token_hash"],
        jobs: None,
        erasure: Erasure::Deleted,
    },
    Holding {
        table: "mailed_links",
        user: "user_id",
        exported: &["purpose", "created_at", "expires_at", "used_at"],
        withheld: &["token", "token_hash", "job_id", "sends", "counted_from"],
        jobs: Some("job_id"),
        erasure: Erasure::Deleted,
    },
    Holding {
        table: "exports",
        user: "user_id",
        exported: &["requested_at", "made_at"],
        withheld: &["job_id", "document"],
        jobs: Some("job_id"),
        erasure: Erasure::Deleted,
    },
    Holding {
        table: "attempts",
        user: "user_id",
        exported: &[
            "id", "test_id", "status", "answers", "score", "max_score", "feedback", "submitted_at", "graded_at", "test_version", "sitting_id", "late", "ranks",
        ],
        withheld: &["job_id"],
        jobs: Some("job_id"),
        erasure: Erasure::Anonymised(
            "answers = (
                select coalesce(jsonb_agg(case when answer ? 'text' then answer || '{\"text\": \"\"}' else answer end
                                          order by place), '[]')
                from jsonb_array_elements(answers) with ordinality as of (answer, place)),
             feedback = (
                select case when feedback is not null then
                    coalesce(jsonb_agg(case when mark ->> 'graded_by' = 'exact' then mark else mark || '{\"comment\": \"\"}' end
                                       order by place), '[]') end
                from jsonb_array_elements(coalesce(feedback, '[]')) with ordinality as of (mark, place)),
             status = case when status in ('queued', 'grading') then 'failed' else status end",
        ),
    },
    Holding {
        table: "sittings",
        user: "user_id",
        exported: &[
            "id", "test_id", "test_version", "title", "questions", "max_score", "started_at", "deadline", "closes_at",
            "late_accepted", "answers", "saved_at", "ended_at", "attempt_id",
        ],
        withheld: &[],
        jobs: None,
        erasure: Erasure::Deleted,
    },
    Holding {
        table: "topic_standings",
        user: "user_id",
        exported: &["subject", "topic", "answered", "correct", "earned", "possible", "last_answered_at"],
        withheld: &[],
        jobs: None,
        erasure: Erasure::Deleted,
    },
    Holding {
        table: "test_drafts",
        user: "edited_by",
        exported: &["test_id", "edited_at"],
        withheld: &["content"],
        jobs: None,
        erasure: Erasure::Anonymised(""),
    },
    Holding {
        table: "leaderboard_entries",
        user: "user_id",
        exported: &["test_id", "period", "starts_on", "score", "attempt_id", "achieved_at"],
        withheld: &[],
        jobs: None,
        erasure: Erasure::Anonymised(""),
    },
    Holding {
        table: "notifications",
        user: "user_id",
        exported: &["id", "seq", "kind", "title", "body", "data", "read_at", "created_at"],
        withheld: &["job_id"],
        jobs: Some("job_id"),
        erasure: Erasure::Deleted,
    },
    Holding {
        table: "notification_streams",
        user: "user_id",
        exported: &["last_seq"],
        withheld: &[],
        jobs: None,
        erasure: Erasure::Deleted,
    },
    Holding {
        table: "idempotency_keys",
        user: "user_id",
        exported: &["route", "key", "status", "body", "created_at"],
        withheld: &["fingerprint", "location"],
        jobs: None,
        erasure: Erasure::Deleted,
    },
    Holding {
        table: "study_aids",
        user: "user_id",
        exported: &[
            "id", "kind", "status", "asked", "made_by", "model", "result", "created_at", "finished_at",
        ],
        withheld: &["job_id"],
        jobs: Some("job_id"),
        erasure: Erasure::Deleted,
    },
    Holding {
        table: "ai_usage",
        user: "user_id",
        exported: &["day", "model", "requests", "prompt_tokens", "completion_tokens", "cost_micros"],
        withheld: &[],
        jobs: None,
        // What the installation has used stays right.
        erasure: Erasure::Anonymised(""),
    },
    Holding {
        table: "ai_spending",
        user: "account",
        exported: &["day", "spent_micros"],
        withheld: &["reserved_micros"],
        jobs: None,
        erasure: Erasure::Anonymised(""),
    },
    Holding {
        table: "ai_calls",
        user: "user_id",
        exported: &["id", "day", "model"],
        withheld: &["job_id", "reserved_micros"],
        jobs: None,
        // A call under way gives back what it has reserved when it ends.
        erasure: Erasure::Anonymised(""),
    },
    Holding {
        table: "votes",
        user: "user_id",
        exported: &["id", "model_id", "value", "cast_at"],
        // Who could read why a vote is held back could learn how not to be caught.
        withheld: &["state", "settled_at", "reasons", "rules", "cluster"],
        jobs: None,
        // As `votes::traces` has done by then, with what tells the device.
        erasure: Erasure::Anonymised(""),
    },
    Holding {
        table: "vote_events",
        user: "user_id",
        exported: &["id", "at", "model_id", "value"],
        withheld: &["vote_id", "action", "actor"],
        jobs: None,
        erasure: Erasure::Anonymised(""),
    },
    Holding {
        table: "imports",
        user: "submitter",
        exported: &["id", "state", "format", "filename", "title", "subject", "size", "created_at", "finished_at"],
        withheld: &[
            "job_id", "on_existing", "dry_run", "file", "found", "usable", "lost", "changed", "outcome", "test_id",
            "error",
        ],
        jobs: Some("job_id"),
        // The tests that came of them stay, and where they came from.
        erasure: Erasure::Anonymised(
            "finished_at = coalesce(finished_at, now()),
             error = case when state = 'queued' then 'The account that handed it in was deleted.' else error end,
             state = case when state = 'queued' then 'failed' else state end",
        ),
    },
];

/// Tables that name users and are in no need of a line above, with the reason.
pub static EXCEPTIONS: &[(&str, &str)] = &[
    (
        "jobs",
        "what they say, and whose they were, is taken out of them by way of the columns `jobs` above; others lead to \
         nothing that stays",
    ),
    ("vote_traces", "keyed hashes that go after two days, and with the erasure of their user"),
];
