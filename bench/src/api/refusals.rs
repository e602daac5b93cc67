//! With which statuses we refused, by our own metrics: the generator only counts.

use std::collections::BTreeMap;

use tokio::net::TcpStream;

use super::http::{address, ask};
use super::loads::{Request, Route};
use super::servers::{Kind, Running};

/// What counts the answers of each route, by status.
const SERIES: &str = "bellwork_http_request_seconds_count{";
const FIRST_REFUSAL: u16 = 400;

/// Answers so far by a status that refuses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Refusals(BTreeMap<u16, u64>);

impl Refusals {
    /// Those of `server`; of a peer nothing is known.
    pub(crate) async fn of(server: &Running) -> anyhow::Result<Self> {
        if server.kind() != Kind::Ours {
            return Ok(Self::default());
        }
        let [token, etag, body] = [const { String::new() }; 3];
        let request =
            Request { route: Route::Tests, method: "GET", path: "/api/metrics".to_owned(), token, etag, body };
        let mut connection = TcpStream::connect(address(&server.url)).await?;
        let answer = ask(&mut connection, &request).await?;
        anyhow::ensure!(answer.status == 200, "the metrics answer {}", answer.status);
        Ok(Self::read(&String::from_utf8_lossy(&answer.body)))
    }

    fn read(metrics: &str) -> Self {
        let mut refusals = BTreeMap::new();
        for line in metrics.lines().filter_map(|line| line.strip_prefix(SERIES)) {
            let Some((labels, count)) = line.rsplit_once("} ") else { continue };
            let status = labels.split("status=\"").nth(1).and_then(|rest| rest.split('"').next()?.parse().ok());
            if let (Some(status @ FIRST_REFUSAL..), Ok(count)) = (status, count.parse::<u64>()) {
                *refusals.entry(status).or_default() += count;
            }
        }
        Self(refusals)
    }

    /// What came since `before`, such as `, 12 with 503`; empty if nothing did.
    pub(crate) fn since(&self, before: &Self) -> String {
        let new = self.0.iter().map(|(status, count)| (status, count - before.0.get(status).unwrap_or(&0)));
        new.filter(|(_, count)| *count > 0).map(|(status, count)| format!(", {count} with {status}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_that_refuse_are_told_apart() {
        let read = |refused: u64| {
            Refusals::read(&format!(
                "# TYPE bellwork_http_request_seconds histogram\n\
                 bellwork_http_request_seconds_bucket{{route=\"/a\",method=\"GET\",status=\"503\",le=\"1\"}} 9\n\
                 bellwork_http_request_seconds_count{{route=\"/a\",method=\"GET\",status=\"200\"}} 70\n\
                 bellwork_http_request_seconds_count{{route=\"/a\",method=\"GET\",status=\"503\"}} {refused}\n\
                 bellwork_http_request_seconds_count{{route=\"/b\",method=\"GET\",status=\"503\"}} 2\n\
                 bellwork_http_request_seconds_count{{route=\"/b\",method=\"GET\",status=\"429\"}} 1\n"
            ))
        };
        assert_eq!(read(3).since(&Refusals::default()), ", 1 with 429, 5 with 503");
        assert_eq!(read(7).since(&read(3)), ", 4 with 503");
        assert_eq!(read(3).since(&read(3)), "");
    }
}
