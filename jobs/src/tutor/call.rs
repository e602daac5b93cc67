//! One call to the server: the whole answer at once, or piece by piece while the model writes.

use std::time::Duration;

use bellwork_shared::server_events::ServerEvents;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until, timeout};

use super::live::Live;
use super::meter::Meter;
use super::reply::{Part, Said};
use super::{Tutor, refusal, reply, unreachable};
use crate::failure::Failure;

/// A longer answer is a mistake, or an attack.
pub(super) const LONGEST_BODY: usize = 1024 * 1024;
/// The longest a model may write: a job's time must not run out meanwhile.
const LONGEST_WRITING: Duration = Duration::from_secs(240);
/// The end of a stream of parts.
const DONE: &str = "[DONE]";

/// What is asked. Repeated, it has the same key, and should have the same body.
#[derive(Debug)]
pub(crate) struct Call {
    /// For servers that know a repeated request by it.
    pub(crate) idempotency_key: String,
    /// The request without what belongs to the way in which it is answered.
    pub(crate) body: Value,
}

struct Refused {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

enum Answer {
    Said(Said),
    Refused(Refused),
    /// It is there, but not as agreed: no sign that the server is unwell.
    Odd(Failure),
}

impl Tutor {
    /// Makes one call, if the server may be called now. A listener hears the answer while it is written.
    ///
    /// # Errors
    /// If the server may not be called yet, cannot be reached, or does not answer as agreed.
    pub(crate) async fn call(
        &self,
        call: &Call,
        listener: Option<&mut Live>,
        meter: &mut Meter,
    ) -> Result<String, Failure> {
        let leave = self.admitted().await?;
        let answered = self.answered(call, listener, meter).await;
        match &answered {
            Ok(Answer::Refused(refused)) if refused.status.is_server_error() => leave.failed(Instant::now()),
            Ok(_) => leave.succeeded(),
            Err(_) => leave.failed(Instant::now()),
        }
        match answered? {
            Answer::Said(said) => said.content(),
            Answer::Odd(failure) => Err(failure),
            Answer::Refused(Refused { status, headers, body }) => {
                meter.refused();
                Err(refusal::failure(status, &headers, &body, self.server.api_key.as_deref()))
            }
        }
    }

    async fn answered(&self, call: &Call, listener: Option<&mut Live>, meter: &mut Meter) -> Result<Answer, Failure> {
        let mut body = call.body.clone();
        if listener.is_some() {
            body["stream"] = true.into();
            body["stream_options"] = json!({ "include_usage": true });
        }
        let request = self.client.post(self.url.clone()).header("Idempotency-Key", &call.idempotency_key).json(&body);
        meter.sent(body.to_string().len());
        let response = match listener {
            None => request.send().await,
            Some(_) => {
                let sent = request.timeout(LONGEST_WRITING).send();
                timeout(self.server.timeout, sent).await.map_err(|_| silent())?
            }
        };
        let response = response.map_err(|error| {
            if error.is_connect() {
                meter.refused();
            }
            unreachable(error)
        })?;
        let (status, headers) = (response.status(), response.headers().clone());
        match listener {
            _ if !status.is_success() => {
                let body = whole(response, self.server.timeout).await?;
                Ok(Answer::Refused(Refused { status, headers, body }))
            }
            Some(listener) if is_event_stream(&headers) => self.listen(response, listener, meter).await,
            // A server that does not know streams answers at once.
            _ => {
                let body = whole(response, self.server.timeout).await?;
                meter.heard(body.len());
                Ok(reply::completion(&body).map_or_else(Answer::Odd, |said| heard(said, meter)))
            }
        }
    }

    async fn listen(&self, mut response: Response, live: &mut Live, meter: &mut Meter) -> Result<Answer, Failure> {
        let (mut events, mut said) = (ServerEvents::default(), Said::default());
        let mut patience = Instant::now() + self.server.timeout;
        loop {
            let chunk = tokio::select! {
                chunk = response.chunk() => chunk.map_err(unreachable)?,
                () = sleep_until(patience) => return Err(silent()),
                () = sleep_until(live.due().unwrap_or(patience)), if live.due().is_some() => {
                    live.tell();
                    continue;
                }
            };
            let Some(chunk) = chunk else { break };
            patience = Instant::now() + self.server.timeout;
            let Ok(parts) = events.read(&chunk) else { return Ok(Answer::Odd(too_long())) };
            for part in parts {
                if part.data.trim() == DONE {
                    return Ok(heard(said, meter));
                }
                match reply::part(&part.data) {
                    Err(failure) => return Ok(Answer::Odd(failure)),
                    Ok(part) => take(part, &mut said, live, meter),
                }
            }
            if said.text.len() > LONGEST_BODY {
                return Ok(Answer::Odd(too_long()));
            }
        }
        if said.finish_reason.is_some() {
            return Ok(heard(said, meter));
        }
        Err(Failure::retry("the AI server's answer broke off in the middle"))
    }
}

fn take(part: Part, said: &mut Said, live: &mut Live, meter: &mut Meter) {
    if !part.text.is_empty() {
        meter.heard(part.text.len());
        live.hear(&part.text);
    }
    if let Some((prompt, completion)) = part.tokens {
        meter.told(prompt, completion);
    }
    said.add(part);
}

fn heard(said: Said, meter: &mut Meter) -> Answer {
    if let Some((prompt, completion)) = said.tokens {
        meter.told(prompt, completion);
    }
    Answer::Said(said)
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    let announced = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    announced.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("text/event-stream")
}

async fn whole(mut response: Response, patience: Duration) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    loop {
        let chunk = timeout(patience, response.chunk()).await.map_err(|_| silent())?;
        let Some(chunk) = chunk.map_err(unreachable)? else { return Ok(body) };
        if body.len() + chunk.len() > LONGEST_BODY {
            return Err(too_long());
        }
        body.extend_from_slice(&chunk);
    }
}

fn too_long() -> Failure {
    Failure::retry("the AI server's answer is longer than 1 MiB")
}

fn silent() -> Failure {
    Failure::retry("the AI server did not answer in time: it fell silent")
}
