//! What a chat-completions server is asked about a written answer.

use serde_json::{Value, json};

use super::Call;
use super::ballot::Ballot;
use crate::marker::Essay;

/// How the model is to work. The student's text never stands in it.
pub(super) const INSTRUCTIONS: &str = include_str!("../../prompts/mark.txt");
/// A verdict is shorter, in tokens.
pub(crate) const LONGEST_VERDICT: u64 = 2000;

/// The request: the answer goes as data, the reply is bound to a JSON schema that knows only the names of this ballot.
pub(super) fn call(model: &str, essay: &Essay<'_>, ballot: &Ballot<'_>) -> Call {
    let key_points: Vec<_> = ballot.lines.iter().map(|line| json!({ "id": line.name, "text": line.text })).collect();
    let mut material = json!({ "question": essay.prompt, "key_points": key_points });
    if let Some(passage) = essay.passage {
        material["passage"] = passage.into();
    }
    let body = json!({
        "model": model,
        "temperature": 0,
        "max_tokens": LONGEST_VERDICT,
        "messages": [
            { "role": "system", "content": INSTRUCTIONS },
            { "role": "user", "content": format!("{material}\n{}", ballot.seed.fenced(essay.answer)) },
        ],
        "response_format": {
            "type": "json_schema",
            "json_schema": { "name": "marking", "strict": true, "schema": schema(ballot) },
        },
    });
    Call { idempotency_key: format!("{}-{}", essay.job, essay.question), body }
}

fn schema(ballot: &Ballot<'_>) -> Value {
    let ids: Vec<_> = ballot.lines.iter().map(|line| &line.name).collect();
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["met", "comment"],
        "properties": {
            "met": {
                "type": "array",
                "items": {
                    "type": "object",
                    "additionalProperties": false,
                    "required": ["key_point", "quote"],
                    "properties": { "key_point": { "type": "string", "enum": ids }, "quote": { "type": "string" } },
                },
            },
            "comment": { "type": "string" },
        },
    })
}
