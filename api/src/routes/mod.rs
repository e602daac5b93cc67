//! THE TABLE of routes: every path, its methods, who may use them, and which function answers. A new route is one function
//! in a file here and one line below.

mod admin_dead;
mod admin_imports;
mod admin_jobs;
mod admin_jobs_bulk;
mod admin_models;
mod admin_queues;
mod admin_schedules;
mod admin_tests;
mod admin_votes;
mod admin_workers;
mod ai;
mod api_tokens;
mod attempts;
mod auth;
mod documents;
mod health;
mod jobs;
mod leaderboard;
mod links;
mod me;
mod metrics;
mod models;
mod notifications;
pub(crate) mod path;
mod personal_data;
mod practice;
mod practice_tests;
mod question_bank;
pub(crate) mod registration;
mod sessions;
mod sittings;
mod stats;
mod stream;
mod topics;

use bellwork_shared::api_tokens::scopes::Scope;
use bellwork_shared::rate_limit::policies;

use self::path::{Path, at};
use crate::auth::Access::{Admins, Anyone, SignedIn};
use crate::overload::Worth;

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

fn probes() -> Vec<Path> {
    vec![
        at("/api/health")
            .get(Anyone, health::detail, "The health of this process and its stores, for people.")
            .exempt(),
        at("/api/health/live").get(Anyone, health::live, "Whether this process is alive.").exempt(),
        at("/api/health/ready").get(Anyone, health::ready, "Whether this process can serve.").exempt(),
        at("/api/metrics")
            .get(Anyone, metrics::render, "Prometheus text, for loopback peers and METRICS_TOKEN.")
            .also(&[403])
            .exempt(),
    ]
}

fn streams() -> Vec<Path> {
    vec![
        at("/api/notifications/stream")
            .get(SignedIn, stream::open, "The caller's notifications and progress, live.")
            .limited(&policies::STREAMS)
            .streaming()
            .session_only(),
    ]
}

fn accounts() -> Vec<Path> {
    vec![
        at("/api/auth/register")
            .post(Anyone, auth::register, "Registers a student and opens a session.")
            .also(&[409])
            .limited(&policies::REGISTER),
        at("/api/auth/login").post(Anyone, auth::login, "Opens a session.").also(&[401]).limited(&policies::LOGIN),
        at("/api/auth/logout").post(SignedIn, auth::logout, "Ends the session of the request."),
        at("/api/auth/verify-email")
            .get(Anyone, links::verification_page, "The page that a mailed link opens.")
            .post(Anyone, links::verify_email, "Proves an address, by the token of a mailed link.")
            .also(&[404]),
        at("/api/auth/forgot-password")
            .post(
                Anyone,
                links::forgot_password,
                "Mails a link to choose a new password, if the address is registered.",
            )
            .limited(&policies::MAIL_LINKS),
        at("/api/auth/reset-password")
            .get(Anyone, links::reset_page, "The page that a mailed link opens.")
            .post(
                Anyone,
                links::reset_password,
                "Sets a new password, by the token of a mailed link; ends all sessions.",
            )
            .also(&[404]),
        at("/api/me")
            .get(SignedIn, me::profile, "The caller's profile.")
            .patch(SignedIn, me::rename, "Changes what others see of the caller.")
            .delete(SignedIn, me::erase, "Erases the caller: personal data goes, results stay and name nobody.")
            .limited(&policies::PASSWORD),
        at("/api/me/password")
            .post(SignedIn, me::change_password, "Changes the password; ends all other sessions.")
            .limited(&policies::PASSWORD)
            .also(&[409]),
        at("/api/me/verification")
            .post(SignedIn, links::send_verification, "Mails the link that proves the address again.")
            .also(&[409])
            .limited(&policies::MAIL_LINKS),
        at("/api/me/sessions")
            .get(SignedIn, sessions::list, "The caller's sessions, the newest first.")
            .session_only()
            .delete(SignedIn, sessions::end_others, "Ends all sessions of the caller but this one."),
        at("/api/me/sessions/{id}").delete(SignedIn, sessions::end, "Ends one of the caller's sessions."),
        at("/api/me/tokens")
            .get(SignedIn, api_tokens::list, "The caller's API tokens, the newest first.")
            .session_only()
            .post(SignedIn, api_tokens::issue, "Makes an API token, which is shown only once.")
            .also(&[409])
            .limited(&policies::TOKENS),
        at("/api/me/tokens/{id}").delete(SignedIn, api_tokens::revoke, "Revokes one of the caller's API tokens."),
        at("/api/me/export")
            .get(SignedIn, personal_data::show, "All that is kept about the caller, as it was last exported.")
            .also(&[404])
            .session_only()
            .post(SignedIn, personal_data::request, "Asks for an export of all that is kept about the caller.")
            .limited(&policies::EXPORTS),
        at("/api/me/ai-usage").get(SignedIn, ai::usage::own, "What the caller's AI calls used, by day and model."),
    ]
}

fn exams() -> Vec<Path> {
    vec![
        at("/api/tests").get(Anyone, practice_tests::list, "The practice tests."),
        at("/api/tests/{id}").get(
            Anyone,
            practice_tests::sheet,
            "A practice test with its questions, without answers.",
        ),
        at("/api/attempts")
            .get(SignedIn, attempts::list, "The caller's attempts, the newest first.")
            .post(SignedIn, attempts::submit, "Submits the answers to a test; a job grades them.")
            .also(&[404])
            .limited(&policies::ATTEMPTS)
            .scope(Scope::AttemptsWrite),
        at("/api/attempts/{id}").get(
            SignedIn,
            attempts::show,
            "One of the caller's attempts, with its result once graded.",
        ),
        at("/api/attempts/{id}/review")
            .get(SignedIn, attempts::review, "A graded attempt with the right answers, as it was taken.")
            .also(&[409]),
        at("/api/tests/{id}/start")
            .post(SignedIn, sittings::start, "Starts a timed test, or shows the sitting that runs.")
            .limited(&policies::PRACTICE)
            .also(&[409])
            .scope(Scope::AttemptsWrite),
        at("/api/sittings/{id}").get(SignedIn, sittings::show, "One of the caller's sittings with its questions."),
        at("/api/sittings/{id}/answers")
            .put(SignedIn, sittings::save, "Saves the answers so far; they are submitted when the time is over.")
            .limited(&policies::ANSWERS)
            .also(&[409])
            .scope(Scope::AttemptsWrite),
        at("/api/practice")
            .post(SignedIn, practice::begin, "Makes a practice set of the caller's weakest questions.")
            .limited(&policies::PRACTICE)
            .also(&[404])
            .scope(Scope::AttemptsWrite),
        at("/api/question-bank")
            .get(SignedIn, question_bank::search, "Questions, filtered and searched.")
            .limited(&policies::SEARCH),
        at("/api/question-bank/topics").get(SignedIn, question_bank::topics, "Subjects and topics with their counts."),
        at("/api/me/topics").get(SignedIn, topics::list, "How well the caller knows each topic."),
    ]
}

fn study_aids() -> Vec<Path> {
    vec![
        at("/api/ai/explanations")
            .get(SignedIn, ai::explanations::list, "The caller's explanations, the newest first.")
            .post(SignedIn, ai::explanations::ask, "Asks why an answer of a graded attempt is right or wrong.")
            .also(&[404, 409])
            .limited(&policies::AI)
            .scope(Scope::AiWrite),
        at("/api/ai/explanations/{id}").get(SignedIn, ai::explanations::show, "One of the caller's explanations."),
        at("/api/ai/study-plans")
            .get(SignedIn, ai::study_plans::list, "The caller's study plans, the newest first.")
            .post(SignedIn, ai::study_plans::ask, "Asks for a plan that begins with the caller's weak topics.")
            .also(&[409])
            .limited(&policies::AI)
            .scope(Scope::AiWrite),
        at("/api/ai/study-plans/{id}").get(SignedIn, ai::study_plans::show, "One of the caller's study plans."),
        at("/api/ai/flashcards")
            .get(SignedIn, ai::flashcards::list, "The caller's flashcards, the newest first.")
            .post(SignedIn, ai::flashcards::ask, "Asks for flashcards from questions the caller has answered.")
            .also(&[404, 409])
            .limited(&policies::AI)
            .scope(Scope::AiWrite),
        at("/api/ai/flashcards/{id}").get(SignedIn, ai::flashcards::show, "One of the caller's sets of flashcards."),
    ]
}

fn results() -> Vec<Path> {
    vec![
        at("/api/jobs/{id}")
            .get(SignedIn, jobs::show, "One of the caller's jobs.")
            .delete(SignedIn, jobs::cancel, "Cancels one of the caller's jobs before it runs.")
            .also(&[409])
            .scope(Scope::JobsWrite),
        at("/api/notifications").get(SignedIn, notifications::list, "The caller's notifications, the newest first."),
        at("/api/notifications/read-all")
            .post(SignedIn, notifications::read_all, "Marks all notifications as read.")
            .scope(Scope::NotificationsWrite),
        at("/api/notifications/{id}/read")
            .post(SignedIn, notifications::read, "Marks a notification as read.")
            .scope(Scope::NotificationsWrite),
    ]
}

fn descriptions() -> Vec<Path> {
    vec![
        at("/api/stats").get(Anyone, stats::show, "How much Bellwork is used; up to a minute old."),
        at("/api/openapi.json").get(Anyone, documents::openapi, "What this API takes and answers, as OpenAPI 3.1."),
        at("/api/docs").get(Anyone, documents::page, "The same, to be read and tried."),
        at("/api/docs/{file}").get(Anyone, documents::file, "What that page loads."),
    ]
}

fn rankings() -> Vec<Path> {
    vec![
        at("/api/leaderboard")
            .get(SignedIn, leaderboard::show, "A test's best scores, and where the caller stands.")
            .also(&[404])
            .worth(Worth::Ranking),
        at("/api/leaderboard/neighbours")
            .get(SignedIn, leaderboard::neighbours, "The places around the caller's, the best first.")
            .also(&[404])
            .worth(Worth::Ranking),
        at("/api/leaderboard/visibility")
            .get(SignedIn, leaderboard::visibility, "Whether others see the caller's name on the boards.")
            .put(SignedIn, leaderboard::set_visibility, "Shows the caller's name on the boards, or hides it."),
        at("/api/models").get(Anyone, models::list, "The AI models that take votes."),
        at("/api/models/ranking")
            .get(SignedIn, models::ranking, "The AI models by the students' votes.")
            .worth(Worth::Ranking),
        at("/api/models/{slug}/vote")
            .post(SignedIn, models::vote, "Votes on an AI model, or withdraws the vote.")
            .limited(&policies::VOTES)
            .scope(Scope::VotesWrite),
    ]
}

fn operators() -> Vec<Path> {
    vec![
        at("/api/admin/imports")
            .get(Admins, admin_imports::list, "The uploaded files, the newest first.")
            .post(Admins, admin_imports::hand_in, "Uploads a file of questions; a job makes a test of it.")
            .also(&[409])
            .limited(&policies::IMPORTS)
            .worth(Worth::Ranking),
        at("/api/admin/imports/{id}").get(Admins, admin_imports::show, "An uploaded file, and what became of it."),
        at("/api/admin/imports/{id}/report").get(
            Admins,
            admin_imports::report,
            "What a file holds that a test cannot, row by row; as CSV if that is accepted.",
        ),
        at("/api/admin/tests/{id}/export")
            .get(Admins, admin_imports::export, "A test as a file, or what the file does not hold of it.")
            .limited(&policies::EXPORTS),
        at("/api/admin/tests")
            .get(Admins, admin_tests::list, "All tests, drafts and archived ones too.")
            .post(Admins, admin_tests::create, "Makes a test with its first draft.")
            .also(&[409]),
        at("/api/admin/tests/{id}")
            .get(Admins, admin_tests::show, "A test with the content of its next version.")
            .put(Admins, admin_tests::save, "Saves the draft of the next version.")
            .also(&[409])
            .delete(Admins, admin_tests::remove, "Archives a test; nothing that was taken is deleted."),
        at("/api/admin/tests/{id}/publish")
            .post(Admins, admin_tests::publish, "Publishes the draft to students.")
            .also(&[409]),
        at("/api/admin/tests/{id}/archive").post(Admins, admin_tests::archive, "Withdraws a test from students."),
        at("/api/admin/tests/{id}/versions").get(
            Admins,
            admin_tests::versions,
            "The published versions, the newest first.",
        ),
        at("/api/admin/ai-usage").get(Admins, ai::usage::all, "What all users' AI calls used, by day and model."),
        at("/api/admin/models").post(Admins, admin_models::create, "Adds an AI model to vote on.").also(&[409]),
        at("/api/admin/models/{slug}").patch(Admins, admin_models::change, "Changes an AI model."),
        at("/api/admin/votes").get(
            Admins,
            admin_votes::list,
            "Votes that were held back or rejected, with the reasons.",
        ),
        at("/api/admin/votes/bulk")
            .post(Admins, admin_votes::bulk, "Decides about the held votes of a cluster.")
            .limited(&policies::BULK),
        at("/api/admin/votes/{id}/release")
            .post(Admins, admin_votes::release, "Counts a vote that was held back or rejected.")
            .also(&[409]),
        at("/api/admin/votes/{id}/reject").post(Admins, admin_votes::reject, "Rejects a vote for good.").also(&[409]),
    ]
}

fn steering() -> Vec<Path> {
    vec![
        at("/api/admin/queues").get(Admins, admin_queues::list, "All queues with their counts."),
        at("/api/admin/queues/{name}/pause").post(Admins, admin_queues::pause, "Stops handing out a queue's jobs."),
        at("/api/admin/queues/{name}/resume").post(Admins, admin_queues::resume, "Hands out a queue's jobs again."),
        at("/api/admin/workers").get(Admins, admin_workers::list, "The worker processes."),
        at("/api/admin/schedules").get(Admins, admin_schedules::list, "The periodic jobs."),
        at("/api/admin/schedules/{name}/run").post(
            Admins,
            admin_schedules::run,
            "Submits a periodic job now, out of turn.",
        ),
        at("/api/admin/schedules/{name}/pause").post(
            Admins,
            admin_schedules::pause,
            "Pauses a schedule; ticks meanwhile are skipped.",
        ),
        at("/api/admin/schedules/{name}/resume").post(
            Admins,
            admin_schedules::resume,
            "Lets a schedule fire again, from its next tick on.",
        ),
        at("/api/admin/dead")
            .get(Admins, admin_dead::list, "What the newest 5,000 dead jobs died of.")
            .limited(&policies::LEDGER),
        at("/api/admin/jobs").get(Admins, admin_jobs::list, "The jobs, the newest first.").limited(&policies::LEDGER),
        at("/api/admin/jobs/bulk")
            .post(Admins, admin_jobs_bulk::steer, "Retries or cancels up to 1,000 jobs, or says what it would do.")
            .limited(&policies::BULK)
            .also(&[404, 409]),
        at("/api/admin/jobs/{id}").get(Admins, admin_jobs::show, "A job with its failures."),
        at("/api/admin/jobs/{id}/cancel")
            .post(Admins, admin_jobs::cancel, "Ends a job, even while it runs.")
            .also(&[409]),
        at("/api/admin/jobs/{id}/retry")
            .post(Admins, admin_jobs::retry, "Reopens a dead or cancelled job.")
            .also(&[409]),
    ]
}

/// A group of paths, and the roles that serve it.
struct Group {
    roles: &'static [Role],
    paths: fn() -> Vec<Path>,
}

const fn group(roles: &'static [Role], paths: fn() -> Vec<Path>) -> Group {
    Group { roles, paths }
}

const WEB: &[Role] = &[Role::All, Role::Web];

/// All groups, in the order in which the documents show them.
const GROUPS: &[Group] = &[
    group(WEB, accounts),
    group(WEB, exams),
    group(WEB, study_aids),
    group(WEB, results),
    group(WEB, descriptions),
    group(WEB, rankings),
    group(WEB, operators),
    group(WEB, steering),
    group(&[Role::All, Role::Stream], streams),
    group(&[Role::All, Role::Web, Role::Stream], probes),
];

/// Every path of this release, whatever a process serves of it.
pub(crate) fn all() -> Vec<Path> {
    GROUPS.iter().flat_map(|group| (group.paths)()).collect()
}

/// What a process serves in `role`.
fn served(role: Role) -> Vec<Path> {
    let groups = GROUPS.iter().filter(|group| group.roles.contains(&role));
    groups.flat_map(|group| (group.paths)()).collect()
}
