//! What a chat-completions server is asked.

use serde_json::{Value, json};

use crate::marker::Essay;

/// How the model is to work. The student's text never stands in it.
const INSTRUCTIONS: &str = include_str!("../../prompts/mark.txt");

/// The body of the request: the question and the answer go as data, the reply is bound to a JSON schema that knows only
/// the ids of this question's key points.
pub(super) fn body(model: &str, essay: &Essay<'_>) -> Value {
    let key_points: Vec<_> =
        essay.key.key_points.iter().map(|point| json!({ "id": point.id, "text": point.text })).collect();
    let mut material = json!({ "question": essay.prompt, "key_points": key_points, "answer": essay.answer });
    if let Some(passage) = essay.passage {
        material["passage"] = passage.into();
    }
    json!({
        "model": model,
        "temperature": 0,
        "messages": [
            { "role": "system", "content": INSTRUCTIONS },
            { "role": "user", "content": material.to_string() },
        ],
        "response_format": {
            "type": "json_schema",
            "json_schema": { "name": "marking", "strict": true, "schema": schema(essay) },
        },
    })
}

fn schema(essay: &Essay<'_>) -> Value {
    let ids: Vec<_> = essay.key.key_points.iter().map(|point| &point.id).collect();
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
