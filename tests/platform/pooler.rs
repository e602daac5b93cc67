//! Everything through a PgBouncer that shares six sessions in transaction mode.

use bellwork_testkit::test_run::variable;
use bellwork_tests::installation::Installation;
use bellwork_tests::servers::Pooler;
use futures_util::future::join_all;

use crate::effects::happened_once;
use crate::key::right_answers;

const STUDENTS: usize = 30;

#[tokio::test]
async fn thirty_students_are_graded_at_once_through_six_shared_sessions() {
    let mut installation = Installation::new().await;
    let pooler = Pooler::before(&variable("DATABASE_URL")).await;
    installation.set("DATABASE_URL", &installation.database_on(&pooler.url()));
    installation.set("DATABASE_VIA", "pooler");
    let (first, second) = (installation.api().await, installation.api().await);
    let _workers = installation.workers("");
    let journeys = (0..STUDENTS).map(async |number| {
        let student = installation.student(if number % 2 == 0 { &first } else { &second }).await;
        let test = student.test("biology").await;
        let mut stream = student.stream(None).await;
        let submitted = student.submit(&test, &right_answers(&test)).await;
        let told = stream.data_of("notification").await;
        assert_eq!(told["data"]["attempt_id"], submitted["id"], "{told}");
        let attempt = student.get(&format!("/api/attempts/{}", submitted["id"].as_str().unwrap())).await;
        assert_eq!((&attempt["status"], &attempt["score"]), (&"graded".into(), &attempt["max_score"]), "{attempt}");
    });
    join_all(journeys).await;
    happened_once(&installation, STUDENTS as i64).await;
}
