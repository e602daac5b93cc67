//! The AI marker with a server on a socket that answers as it is told.

mod breaker;
mod failures;
mod marks;

use std::time::Duration;

use bellwork_shared::ids::{JobId, QuestionId};
use bellwork_shared::practice_tests::{KeyPoint, TextKey};
use serde_json::json;

use super::*;
use crate::marker::Usage;
use crate::rehearsal::chat_server::{Act, ChatServer, claims, completion, says};
use crate::rehearsal::deserted_address;

const ANSWER: &str = "The mill failed after six weeks. Later the market grew a lot.";

struct Exam {
    job: JobId,
    question: QuestionId,
    key: TextKey,
}

impl Exam {
    fn new() -> Self {
        let point = |id: &str, text: &str, terms: &[&str]| KeyPoint {
            id: id.to_owned(),
            text: text.to_owned(),
            terms: vec![terms.iter().map(|term| (*term).to_owned()).collect()],
        };
        let key_points = vec![
            point("k1", "The mill was a failure.", &["failed", "jammed"]),
            point("k2", "The market was a success.", &["grew", "growth"]),
            point("k3", "The school is undecided.", &["school"]),
        ];
        let key = TextKey { model_answer: "A model answer that no server sees.".to_owned(), key_points };
        Self { job: JobId::new(), question: QuestionId::new(), key }
    }

    fn essay<'a>(&'a self, answer: &'a str) -> Essay<'a> {
        let (prompt, passage) = ("Was it a success?", Some("Once upon a time."));
        Essay { job: self.job, question: self.question, prompt, passage, key: &self.key, answer }
    }
}

fn tutor(server: &ChatServer) -> Tutor {
    Tutor::new(&server.configured()).unwrap()
}

/// How marking fails if the server acts like this.
async fn failure(act: Act) -> Failure {
    let server = ChatServer::start([act]).await;
    let failure = tutor(&server).mark(&Exam::new().essay(ANSWER), &mut Meter::default()).await.unwrap_err();
    assert_eq!(server.requests().len(), 1, "asked once");
    failure
}

#[track_caller]
fn assert_retry(failure: &Failure, reason: &str) {
    assert!(matches!(failure, Failure::Retry { .. }), "{failure:?}");
    assert!(failure.to_string().contains(reason), "{failure}");
}

#[track_caller]
fn assert_fatal(failure: &Failure, reason: &str) {
    assert!(matches!(failure, Failure::Fatal { .. }), "{failure:?}");
    assert!(failure.to_string().contains(reason), "{failure}");
}

#[test]
fn a_key_that_no_header_may_hold_is_named() {
    let base_url = "https://ai.test/v1".parse().unwrap();
    let (model, timeout, requests_per_minute) = (String::new(), Duration::from_secs(1), None);
    let (api_key, price) = (Some("a\nb".into()), Price::default());
    let server = AiServer { base_url, api_key, model, timeout, requests_per_minute, price };
    assert!(Tutor::new(&server).unwrap_err().to_string().starts_with("AI_API_KEY cannot be used"));
}

#[test]
fn the_address_may_end_in_a_slash_or_carry_a_query() {
    for (base, url) in [
        ("https://ai.test/v1", "https://ai.test/v1/chat/completions"),
        ("https://ai.test/v1/", "https://ai.test/v1/chat/completions"),
        ("https://ai.test", "https://ai.test/chat/completions"),
        ("https://ai.test/x?version=1", "https://ai.test/x/chat/completions?version=1"),
    ] {
        assert_eq!(completions(&base.parse().unwrap()).unwrap().as_str(), url);
    }
}
