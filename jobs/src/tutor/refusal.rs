//! What an answer other than 2xx means for the job.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde_json::Value;

use super::excerpt::excerpt;
use crate::failure::Failure;

/// The failure that `status` stands for. `secret` is hidden, in case the server repeats it.
pub(super) fn failure(status: StatusCode, headers: &HeaderMap, body: &[u8], secret: Option<&str>) -> Failure {
    let reason = format!("the AI server answered {status}{}: {}", hint(status), message(body, secret));
    match status.as_u16() {
        408 | 425 | 429 | 500.. => Failure::Retry { reason, after: retry_after(headers, Utc::now()) },
        _ => Failure::Fatal { reason },
    }
}

fn hint(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 | 403 => " (check AI_API_KEY)",
        404 => " (check AI_BASE_URL and AI_MODEL)",
        300..=399 => " (redirects are not followed: check AI_BASE_URL)",
        _ => "",
    }
}

fn message(body: &[u8], secret: Option<&str>) -> String {
    let text = String::from_utf8_lossy(body);
    let json: Value = serde_json::from_str(&text).unwrap_or_default();
    let named = [&json["error"]["message"], &json["error"], &json["message"], &json["detail"]];
    let message = named.iter().find_map(|value| value.as_str()).unwrap_or(&text);
    match secret.filter(|secret| !secret.is_empty()) {
        Some(secret) => excerpt(&message.replace(secret, "***")),
        None => excerpt(message),
    }
}

/// `Retry-After` in seconds or as a date.
fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = DateTime::parse_from_rfc2822(value).ok()?;
    date.signed_duration_since(now).to_std().ok()
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = DateTime::parse_from_rfc3339("2026-11-20T09:00:00Z").unwrap().to_utc();
        for (value, seconds) in [
            ("17", Some(17)),
            ("Fri, 20 Nov 2026 09:01:30 GMT", Some(90)),
            ("Fri, 20 Nov 2026 08:00:00 GMT", None),
            ("-3", None),
            ("soon", None),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(value))]);
            assert_eq!(retry_after(&headers, now), seconds.map(Duration::from_secs), "{value}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }

    #[test]
    fn the_message_is_found_where_servers_put_it_and_the_key_is_hidden() {
        for (body, expected) in [
            (r#"{"error":{"message":"bad key sk-1"}}"#, "bad key ***"),
            (r#"{"error":"model not found"}"#, "model not found"),
            (r#"{"message":"no"}"#, "no"),
            ("<html>Bad\nGateway</html>", "<html>Bad Gateway</html>"),
            ("", ""),
        ] {
            assert_eq!(message(body.as_bytes(), Some("sk-1")), expected, "{body}");
        }
    }
}
