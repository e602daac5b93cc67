//! What a model is asked to write, and the key under which the result is kept.

use bellwork_shared::ai::results::ResultKey;
use bellwork_shared::ids::JobId;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::tutor::Call;
use crate::tutor::excerpt::shortened;
use crate::tutor::fence::Seed;
use crate::tutor::meter;

/// Characters of a bad answer that are shown to the model again.
const LONGEST_RECALL: usize = 8000;
/// The models may choose their words: two students get the same only because the result is kept.
const TEMPERATURE: f64 = 0.3;

/// One piece of writing. Nothing in it may tell whose it is: the result is kept for whoever asks for the same.
#[derive(Debug)]
pub(crate) struct Commission<'a> {
    /// The stored name of the job's kind.
    pub(crate) kind: &'static str,
    /// How the model is to work. Its text is its version.
    pub(crate) prompt: &'static str,
    /// From teachers and our own code.
    pub(crate) material: Value,
    /// A student's words: data, whatever they say.
    pub(crate) written: Option<&'a str>,
    /// The shape of the answer.
    pub(crate) schema: Value,
    /// The members of it that a person can read while they grow.
    pub(crate) readable: &'static [&'static str],
    /// Characters in a usual answer.
    pub(crate) usual: usize,
    /// Tokens in the longest answer.
    pub(crate) longest: u64,
}

/// What was wrong with a first answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Correction<'a> {
    /// The answer.
    pub(crate) said: &'a str,
    /// What is wrong with it.
    pub(crate) wrong: &'a str,
}

impl Commission<'_> {
    /// All that the result depends on, and nothing else.
    pub(crate) fn key(&self, model: &str) -> ResultKey {
        let written = self.written.map(str::trim);
        let whole = json!([self.kind, self.prompt, self.schema, model, self.material, written]);
        Sha256::digest(whole.to_string()).into()
    }

    /// The request; with a correction, the second one.
    pub(crate) fn call(&self, model: &str, job: JobId, correction: Option<Correction<'_>>) -> Call {
        let mut user = self.material.to_string();
        if let Some(written) = self.written {
            user += &format!("\n{}", Seed::of(job.0, Uuid::nil()).fenced(written));
        }
        let mut messages =
            vec![json!({ "role": "system", "content": self.prompt }), json!({ "role": "user", "content": user })];
        if let Some(Correction { said, wrong }) = correction {
            let said = shortened(said, LONGEST_RECALL);
            let again = format!("Your answer {wrong} Answer again, whole, and keep to the schema.");
            messages.push(json!({ "role": "assistant", "content": said }));
            messages.push(json!({ "role": "user", "content": again }));
        }
        let format = json!({ "name": self.kind, "strict": true, "schema": self.schema });
        let body = json!({
            "model": model,
            "temperature": TEMPERATURE,
            "max_tokens": self.longest,
            "messages": messages,
            "response_format": { "type": "json_schema", "json_schema": format },
        });
        let suffix = if correction.is_some() { "-corrected" } else { "" };
        Call { idempotency_key: format!("{job}{suffix}"), body }
    }
}

/// The most tokens that a request is read as.
pub(crate) fn most_tokens(call: &Call) -> u64 {
    meter::most_tokens(call.body.to_string().len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commission<'a>(material: &Value, written: Option<&'a str>) -> Commission<'a> {
        Commission {
            kind: "explain_answer",
            prompt: "Explain.",
            material: material.clone(),
            written,
            schema: json!({}),
            readable: &[],
            usual: 1,
            longest: 1,
        }
    }

    #[test]
    fn the_key_is_that_of_the_content_and_knows_nobody() {
        let material = json!({ "question": "?", "right_answer": "!" });
        let key = |material: &Value, written, model| commission(material, written).key(model);
        let one = key(&material, Some("x"), "m");
        assert_eq!(one, key(&json!({ "right_answer": "!", "question": "?" }), Some(" x\n"), "m"));
        for other in [
            key(&material, Some("y"), "m"),
            key(&material, None, "m"),
            key(&material, Some("x"), "n"),
            key(&json!({ "question": "?" }), Some("x"), "m"),
            Commission { prompt: "Explain it.", ..commission(&material, Some("x")) }.key("m"),
            Commission { kind: "other", ..commission(&material, Some("x")) }.key("m"),
        ] {
            assert_ne!(one, other);
        }
    }
}
