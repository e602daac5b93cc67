//! What a chat-completions server answers, read without trust.

use serde::Deserialize;

use super::excerpt::excerpt;
use crate::failure::Failure;
use crate::marker::Usage;

/// What the model found, and what it cost.
#[derive(Debug)]
pub(super) struct Reply {
    /// The model's findings.
    pub verdict: Verdict,
    /// What the server says it used.
    pub usage: Usage,
}

/// The model's findings, in the shape that the request's JSON schema asks for.
#[derive(Debug, Deserialize)]
pub(super) struct Verdict {
    /// The key points that it finds in the answer.
    pub met: Vec<Claim>,
    /// For the student.
    pub comment: String,
}

/// The model's claim that an answer meets a key point.
#[derive(Debug, Deserialize)]
pub(super) struct Claim {
    /// The id of the key point.
    pub key_point: String,
    /// Where in the answer.
    pub quote: String,
}

#[derive(Deserialize)]
struct Completion {
    choices: Vec<Choice>,
    usage: Option<Tokens>,
}

#[derive(Deserialize)]
struct Choice {
    message: Message,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    content: Option<String>,
    refusal: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Tokens {
    prompt_tokens: u64,
    completion_tokens: u64,
}

/// Reads the body of a good answer.
///
/// # Errors
/// To be retried, if the server or the model did not keep to what was agreed.
pub(super) fn read(body: &[u8]) -> Result<Reply, Failure> {
    let text = || String::from_utf8_lossy(body);
    let completion: Completion = serde_json::from_slice(body)
        .map_err(|error| broken(format!("is no chat completion ({}): {}", said(&error), excerpt(&text()))))?;
    let choice = completion.choices.into_iter().next().ok_or_else(|| broken("holds no choice".to_owned()))?;
    let content = content(choice)?;
    let verdict = serde_json::from_str(&content)
        .map_err(|error| broken(format!("does not keep to the schema ({}): {}", said(&error), excerpt(&content))))?;
    let Tokens { prompt_tokens, completion_tokens } = completion.usage.unwrap_or_default();
    Ok(Reply { verdict, usage: Usage { prompt_tokens, completion_tokens, requests: 1 } })
}

fn content(choice: Choice) -> Result<String, Failure> {
    if let Some(refusal) = choice.message.refusal.filter(|refusal| !refusal.is_empty()) {
        return Err(broken(format!("is a refusal: {}", excerpt(&refusal))));
    }
    let content = choice.message.content.unwrap_or_default();
    match choice.finish_reason.as_deref() {
        Some("length") => Err(broken(format!("was cut off at the model's limit: {}", excerpt(&content)))),
        Some("content_filter") => Err(broken("was withheld by the server's content filter".to_owned())),
        _ if content.trim().is_empty() => Err(broken("is empty".to_owned())),
        _ => Ok(content),
    }
}

/// It may quote what it could not read, at any length.
fn said(error: &serde_json::Error) -> String {
    excerpt(&error.to_string())
}

fn broken(what: String) -> Failure {
    Failure::retry(format!("the AI server's answer {what}"))
}
