//! The data that all servers share: students with sessions, attempts and notifications, and one board with many entries.

use std::path::Path;
use std::time::Duration;

use bellwork_shared::ids::UserId;
use bellwork_shared::sessions::{self, Lifetime};
use bellwork_shared::tokens::Token;
use bellwork_testkit::folder::Folder;
use bellwork_tests::installation::Installation;
use sqlx::PgPool;
use uuid::Uuid;

/// Students who ask.
const STUDENTS: i64 = 300;
/// Students on the board of the first test.
const ENTRIES: i32 = 10_000;
/// Each on one page.
const ATTEMPTS_EACH: i32 = 12;
const NOTIFICATIONS_EACH: i32 = 15;
const A_DAY: Duration = Duration::from_secs(24 * 3600);
const SESSION: Lifetime = Lifetime { absolute: A_DAY, idle: A_DAY };
/// The connections to PostgreSQL of each server, however many processes it has.
pub(crate) const POOL_SIZE: &str = "16";

/// An installation with its data.
#[derive(Debug)]
pub(crate) struct World {
    /// The database, the prefix, and our programs.
    pub(crate) installation: Installation,
    /// Who asks.
    pub(crate) students: Vec<Student>,
    /// The tests; the first has the board.
    pub(crate) tests: Vec<Uuid>,
    /// The model that is voted on.
    pub(crate) model: String,
    folder: Folder,
}

/// Somebody who is signed in.
#[derive(Debug)]
pub(crate) struct Student {
    /// What they prove it by.
    pub(crate) token: String,
    /// Their attempts.
    pub(crate) attempts: Vec<Uuid>,
}

impl World {
    /// Makes it on the servers of `scripts/bench`.
    pub(crate) async fn make() -> anyhow::Result<Self> {
        let mut installation = Installation::new().await;
        for (name, value) in [("LOG", "warn"), ("DATABASE_POOL_SIZE", POOL_SIZE)] {
            installation.set(name, value);
        }
        let database = installation.database.clone();
        let tests: Vec<Uuid> =
            sqlx::query_scalar("select id from practice_tests order by id").fetch_all(&database).await?;
        let model = sqlx::query_scalar("select slug from models where active order by slug limit 1");
        let model = model.fetch_one(&database).await?;
        load(&database, tests[0]).await?;
        let students = students(&database).await?;
        Ok(Self { installation, students, tests, model, folder: Folder::in_memory() })
    }

    /// For files that are read while it is measured.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

async fn load(database: &PgPool, test: Uuid) -> sqlx::Result<()> {
    sqlx::query(USERS).bind(ENTRIES).execute(database).await?;
    sqlx::query(BOARD).bind(test).execute(database).await?;
    sqlx::query(ATTEMPTS).bind(STUDENTS).bind(ATTEMPTS_EACH).execute(database).await?;
    sqlx::query(NOTIFICATIONS).bind(STUDENTS).bind(NOTIFICATIONS_EACH).execute(database).await?;
    for derived in DERIVED {
        sqlx::query(derived).execute(database).await?;
    }
    Ok(())
}

async fn students(database: &PgPool) -> sqlx::Result<Vec<Student>> {
    let asking: Vec<(Uuid, Vec<Uuid>)> =
        sqlx::query_as("select user_id, array_agg(id order by id) from attempts group by 1 order by 1")
            .fetch_all(database)
            .await?;
    let mut conn = database.acquire().await?;
    let mut students = Vec::new();
    for (user, attempts) in asking {
        let token = Token::random();
        sessions::insert(&mut conn, UserId(user), token, "bench", SESSION).await?;
        students.push(Student { token: token.reveal(), attempts });
    }
    Ok(students)
}

const USERS: &str = "
insert into users (id, email, display_name, password_hash, created_at)
select gen_random_uuid(), n || '@school.test', 'Student ' || n, '', now() - interval '300 days'
from generate_series(1, $1) as n";

/// Scores are the mean of three even ones, so that most students are in the middle, as in life.
const BOARD: &str = "
insert into leaderboard_entries (test_id, period, starts_on, user_id, score, attempt_id, achieved_at)
select $1, 'all', '1970-01-01', users.id, (max_score * (random() + random() + random()) / 3)::int,
       gen_random_uuid(), now() - random() * interval '300 days'
from users, practice_tests where practice_tests.id = $1";

const ATTEMPTS: &str = "
with asking as (select id from users order by id limit $1), tests as (
    select id, max_score, row_number() over (order by id) - 1 as place,
           (select jsonb_agg(jsonb_build_object('question_id', id, 'correct', true, 'points', points / 100,
                                                'comment', explanation, 'graded_by', 'exact') order by position)
            from questions where test_id = practice_tests.id and version = practice_tests.version) as feedback
    from practice_tests
)
insert into attempts (id, user_id, test_id, job_id, status, answers, score, max_score, feedback, submitted_at, graded_at)
select gen_random_uuid(), asking.id, tests.id, gen_random_uuid(), 'graded', '[]', (max_score * random())::int, max_score,
       feedback, now() - interval '1 hour', now()
from asking cross join generate_series(1, $2) as n join tests on place = n % (select count(*) from tests)";

const NOTIFICATIONS: &str = "
insert into notifications (id, user_id, seq, kind, title, body, data, job_id)
select gen_random_uuid(), asking.id, n, 'attempt_graded', 'Your test is graded', 'You have ' || n || ' points.',
       jsonb_build_object('attempt_id', gen_random_uuid()), gen_random_uuid()
from (select id from users order by id limit $1) as asking cross join generate_series(1, $2) as n";

const DERIVED: [&str; 4] = [
    "insert into notification_streams select user_id, max(seq) from notifications group by user_id",
    "insert into leaderboard_histogram
     select test_id, period, starts_on, score, count(*) from leaderboard_entries group by 1, 2, 3, 4",
    "insert into leaderboard_bands
     select test_id, period, starts_on, score / 100, count(*) from leaderboard_entries group by 1, 2, 3, 4",
    "vacuum analyze",
];
