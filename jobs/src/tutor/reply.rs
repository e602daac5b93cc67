//! What a chat-completions server answers, read without trust.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::excerpt::excerpt;
use crate::failure::Failure;

/// The model's findings about a written answer, in the shape that the request's JSON schema asks for.
#[derive(Debug, Deserialize)]
pub(super) struct Verdict {
    /// The key points that it finds in the answer.
    pub met: Vec<Claim>,
    /// For the student.
    pub comment: String,
}

/// The model's claim that an answer meets a key point.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Claim {
    /// The id of the key point.
    pub key_point: String,
    /// Where in the answer.
    pub quote: String,
}

/// What was said, whole or in parts.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub text: String,
    pub refusal: String,
    pub finish_reason: Option<String>,
    /// Tokens read and written.
    pub tokens: Option<(u64, u64)>,
}

/// A part of what is said.
#[derive(Debug, Default)]
pub(super) struct Part {
    pub text: String,
    pub refusal: String,
    pub finish_reason: Option<String>,
    pub tokens: Option<(u64, u64)>,
}

#[derive(Deserialize)]
struct Completion {
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<Tokens>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(alias = "delta")]
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
/// To be retried, if the server did not keep to what was agreed.
pub(super) fn completion(body: &[u8]) -> Result<Said, Failure> {
    let completion: Completion = read(body, "is no chat completion")?;
    let tokens = completion.usage.map(|used| (used.prompt_tokens, used.completion_tokens));
    let Choice { message, finish_reason } =
        completion.choices.into_iter().next().ok_or_else(|| broken("holds no choice".to_owned()))?;
    let (text, refusal) = (message.content.unwrap_or_default(), message.refusal.unwrap_or_default());
    Ok(Said { text, refusal, finish_reason, tokens })
}

/// Reads one event of a streamed answer. The last one, with the usage, holds no choice.
///
/// # Errors
/// As [`completion`].
pub(super) fn part(data: &str) -> Result<Part, Failure> {
    let completion: Completion = read(data.as_bytes(), "is no part of a chat completion")?;
    let tokens = completion.usage.map(|used| (used.prompt_tokens, used.completion_tokens));
    let Some(Choice { message, finish_reason }) = completion.choices.into_iter().next() else {
        return Ok(Part { tokens, ..Part::default() });
    };
    let (text, refusal) = (message.content.unwrap_or_default(), message.refusal.unwrap_or_default());
    Ok(Part { text, refusal, finish_reason, tokens })
}

fn read<T: DeserializeOwned>(body: &[u8], complaint: &str) -> Result<T, Failure> {
    serde_json::from_slice(body)
        .map_err(|error| broken(format!("{complaint} ({}): {}", said(&error), excerpt(&String::from_utf8_lossy(body)))))
}

impl Said {
    /// Adds the next part.
    pub(super) fn add(&mut self, part: Part) {
        self.text += &part.text;
        self.refusal += &part.refusal;
        self.finish_reason = part.finish_reason.or(self.finish_reason.take());
        self.tokens = part.tokens.or(self.tokens);
    }

    /// The model's words.
    ///
    /// # Errors
    /// To be retried, if it has none, or was stopped in the middle.
    pub(super) fn content(self) -> Result<String, Failure> {
        if !self.refusal.is_empty() {
            return Err(broken(format!("is a refusal: {}", excerpt(&self.refusal))));
        }
        match self.finish_reason.as_deref() {
            Some("length") => Err(broken(format!("was cut off at the model's limit: {}", excerpt(&self.text)))),
            Some("content_filter") => Err(broken("was withheld by the server's content filter".to_owned())),
            _ if self.text.trim().is_empty() => Err(broken("is empty".to_owned())),
            _ => Ok(self.text),
        }
    }
}

/// What the model said, in the shape of `T`. A fence of Markdown around it, which some models cannot leave out, is no part
/// of it.
///
/// # Errors
/// What is wrong with it, in a sentence.
pub(crate) fn parsed<T: DeserializeOwned>(content: &str) -> Result<T, String> {
    let content = content.trim();
    let fenced = content.strip_prefix("```json").or_else(|| content.strip_prefix("```"));
    let content = fenced.and_then(|rest| rest.strip_suffix("```")).unwrap_or(content);
    serde_json::from_str(content)
        .map_err(|error| format!("does not keep to the schema ({}): {}", said(&error), excerpt(content)))
}

/// It may quote what it could not read, at any length.
fn said(error: &serde_json::Error) -> String {
    excerpt(&error.to_string())
}

/// A failure that may not come again.
pub(super) fn broken(what: String) -> Failure {
    Failure::retry(format!("the AI server's answer {what}"))
}
