//! When a server is left alone, and for how long.

use super::*;

#[tokio::test]
async fn after_five_failures_the_server_is_left_alone_and_then_tried_once() {
    let unwell = Act::Answer("500 Internal Server Error", "", String::new());
    let script = vec![unwell; 5].into_iter().chain([claims(&[], "")]);
    let server = ChatServer::start(script).await;
    let (tutor, exam) = (tutor(&server), Exam::new());
    for _ in 0..5 {
        assert_retry(&tutor.mark(&exam.essay(ANSWER), &mut Meter::default()).await.unwrap_err(), "500");
    }
    tokio::time::pause();
    let left_alone = tutor.mark(&exam.essay(ANSWER), &mut Meter::default()).await.unwrap_err();
    assert!(matches!(left_alone, Failure::Snooze(wait) if wait < Duration::from_secs(8)), "{left_alone:?}");
    assert_eq!(server.requests().len(), 5, "nothing was sent");
    tokio::time::advance(Duration::from_secs(10)).await;
    tokio::time::resume();
    tutor.mark(&exam.essay(ANSWER), &mut Meter::default()).await.unwrap();
}

#[tokio::test]
async fn a_server_that_says_no_is_well() {
    let no = Act::Answer("429 Too Many Requests", "", String::new());
    let server = ChatServer::start(vec![no; 8]).await;
    let (tutor, exam) = (tutor(&server), Exam::new());
    for _ in 0..8 {
        assert_retry(&tutor.mark(&exam.essay(ANSWER), &mut Meter::default()).await.unwrap_err(), "429");
    }
}

#[tokio::test]
async fn over_the_limit_a_run_is_put_off_and_does_not_pay_again_for_what_it_has() {
    let server = ChatServer::start([claims(&[], "One."), claims(&[], "Two.")]).await;
    let tutor = Tutor::new(&AiServer { requests_per_minute: Some(1), ..server.configured() }).unwrap();
    let (first, mut second) = (Exam::new(), Exam::new());
    second.job = first.job;
    let one = tutor.mark(&first.essay(ANSWER), &mut Meter::default()).await.unwrap();
    tokio::time::pause();
    let put_off = tutor.mark(&second.essay(ANSWER), &mut Meter::default()).await.unwrap_err();
    assert!(matches!(put_off, Failure::Snooze(wait) if wait > Duration::from_secs(50)), "{put_off:?}");
    tokio::time::advance(Duration::from_secs(60)).await;
    tokio::time::resume();
    assert_eq!(tutor.mark(&first.essay(ANSWER), &mut Meter::default()).await.unwrap(), one);
    assert!(tutor.mark(&second.essay(ANSWER), &mut Meter::default()).await.unwrap().comment.ends_with("Two."));
    assert_eq!(server.requests().len(), 2);
}
