//! Servers that are silent, away, busy, or answer what was not agreed.

use super::*;

#[tokio::test]
async fn silence_is_retried() {
    let server = ChatServer::start([Act::Silence]).await;
    let tutor = Tutor::new(&AiServer { timeout: Duration::from_millis(50), ..server.configured() }).unwrap();
    assert_retry(
        &tutor.mark(&Exam::new().essay(ANSWER), &mut Meter::default()).await.unwrap_err(),
        "did not answer in time",
    );
}

#[tokio::test]
async fn a_server_that_hangs_up_or_is_not_there_is_retried() {
    assert_retry(&failure(Act::HangUp).await, "could not be reached");
    let (_held, address) = deserted_address();
    let server = ChatServer::start([]).await;
    let base_url = format!("http://user:hidden@{address}/v1").parse().unwrap();
    let tutor = Tutor::new(&AiServer { base_url, ..server.configured() }).unwrap();
    let failure = tutor.mark(&Exam::new().essay(ANSWER), &mut Meter::default()).await.unwrap_err();
    assert_retry(&failure, "could not be reached");
    assert!(!failure.to_string().contains("hidden"), "{failure}");
}

#[tokio::test]
async fn too_many_requests_are_retried_when_the_server_says() {
    let body = r#"{"error":{"message":"Slow down."}}"#.to_owned();
    let failure = failure(Act::Answer("429 Too Many Requests", "retry-after: 17\r\n", body)).await;
    assert_retry(&failure, "429 Too Many Requests: Slow down.");
    assert!(
        matches!(failure, Failure::Retry { after: Some(after), .. } if after == Duration::from_secs(17)),
        "{failure:?}"
    );
}

#[tokio::test]
async fn a_failing_server_is_retried() {
    for status in ["500 Internal Server Error", "502 Bad Gateway", "503 Service Unavailable", "408 Request Timeout"] {
        assert_retry(&failure(Act::Answer(status, "", "<h1>oh\nno</h1>".to_owned())).await, "<h1>oh no</h1>");
    }
}

#[tokio::test]
async fn a_refused_request_is_final_and_names_the_variable() {
    for (status, body, reason) in [
        ("400 Bad Request", r#"{"error":{"message":"No schemas here."}}"#, "400 Bad Request: No schemas here."),
        ("401 Unauthorized", r#"{"error":{"message":"sk-secret is wrong"}}"#, "(check AI_API_KEY): *** is wrong"),
        ("403 Forbidden", "", "(check AI_API_KEY)"),
        ("404 Not Found", "", "(check AI_BASE_URL and AI_MODEL)"),
        ("422 Unprocessable Entity", r#"{"detail":"bad"}"#, ": bad"),
    ] {
        assert_fatal(&failure(Act::Answer(status, "", body.to_owned())).await, reason);
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = ChatServer::start([claims(&[], "")]).await;
    let headers = Box::leak(format!("location: http://{}/v1/chat/completions\r\n", elsewhere.address).into_boxed_str());
    let failure = failure(Act::Answer("307 Temporary Redirect", headers, String::new())).await;
    assert_fatal(&failure, "check AI_BASE_URL");
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn an_answer_that_does_not_keep_to_the_agreement_is_retried_with_an_excerpt() {
    let choice = |message, finish_reason| {
        completion(&json!({ "choices": [{ "message": message, "finish_reason": finish_reason }] }))
    };
    let content = |content: &str| choice(json!({ "content": content }), "stop");
    for (act, reason) in [
        (Act::Answer("200 OK", "", "<html>".to_owned()), "is no chat completion"),
        (completion(&json!({ "choices": [] })), "holds no choice"),
        (content("Sure! Here you go"), "does not keep to the schema"),
        (content(r#"{"met":["k1"],"comment":""}"#), "does not keep to the schema"),
        (content(r#"{"met":[]}"#), "missing field `comment`"),
        (content(" "), "is empty"),
        (choice(json!({ "content": null }), "stop"), "is empty"),
        (
            choice(json!({ "refusal": "I cannot help with that.", "content": null }), "stop"),
            "is a refusal: I cannot help",
        ),
        (choice(json!({ "content": "{\"met\":[" }), "length"), "was cut off"),
        (choice(json!({ "content": "" }), "content_filter"), "content filter"),
        (says(&json!("x".repeat(5000))), "xxx…"),
    ] {
        let failure = failure(act).await;
        assert_retry(&failure, reason);
        assert!(failure.to_string().chars().count() < 500, "{failure}");
    }
}

#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    let failure = failure(Act::Answer("200 OK", "", "x".repeat(call::LONGEST_BODY + 1))).await;
    assert_retry(&failure, "longer than 1 MiB");
}
