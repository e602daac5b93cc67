//! All servers answer the same, or nothing is compared. What they answer tells the ETags and sizes that the loads need.

use anyhow::Context;
use chrono::DateTime;
use serde_json::{Map, Value};
use tokio::net::TcpStream;

use super::http::{Answer, address, ask};
use super::loads::{Request, Route, request};
use super::servers::{Kind, Running, Servers};
use super::world::World;
use crate::screen::Step;

/// Each route is asked for so many students, and tests: for all of them.
const PLACES: usize = 8;
/// One of a hundred requests, so that the next is of another test and another student.
const APART: usize = 101;
const ROUTES: [Route; 7] =
    [Route::Test, Route::Tests, Route::Notifications, Route::Leaderboard, Route::Attempt, Route::Attempts, Route::Vote];

/// Asks all servers the same and compares their answers with ours; twice, since the second comes out of a cache.
pub(crate) async fn check(world: &World, servers: &mut Servers) -> anyhow::Result<()> {
    let step = Step::begin("The same answers");
    let mut compared = 0;
    for route in ROUTES {
        for place in 0..PLACES {
            let request = request(route, place * APART, world);
            let ours = learn(&mut servers.running[0], &request).await?;
            for server in &mut servers.running[1..] {
                if server.kind() == Kind::Bare {
                    server.sizes.insert(request.path.clone(), ours.body.len());
                    continue;
                }
                let theirs = learn(server, &request).await?;
                compare(&ours, &theirs)
                    .with_context(|| format!("{} answers {} otherwise", server.name(), request.path))?;
                compared += 1;
            }
        }
    }
    step.tick(&format!("{compared} compared"));
    Ok(())
}

/// The second answer of `server`, whose ETag is kept and must give a 304.
async fn learn(server: &mut Running, request: &Request) -> anyhow::Result<Answer> {
    let name = server.name();
    let mut connection = TcpStream::connect(address(&server.url)).await?;
    ask(&mut connection, request).await?;
    let answer = ask(&mut connection, request).await?;
    let said = || format!("{name}: {} {}: {}", request.path, answer.status, String::from_utf8_lossy(&answer.body));
    anyhow::ensure!(answer.status == 200, said());
    if let Some(etag) = answer.etag.clone().filter(|_| request.method == "GET") {
        let unchanged = ask(&mut connection, &Request { etag: etag.clone(), ..request.clone() }).await?;
        anyhow::ensure!(
            unchanged.status == 304 || unchanged.etag.as_ref() != Some(&etag),
            "{name}: {} for its ETag",
            unchanged.status
        );
        server.etags.insert(request.path.clone(), etag);
    }
    Ok(answer)
}

fn compare(ours: &Answer, theirs: &Answer) -> anyhow::Result<()> {
    let [ours, theirs] = [ours, theirs].map(|answer| serde_json::from_slice(&answer.body).map(plain));
    let (ours, theirs) = (ours?, theirs?);
    anyhow::ensure!(ours == theirs, "\n{ours}\nis not\n{theirs}");
    Ok(())
}

/// Numbers as fractions and instants in milliseconds, however they are written.
fn plain(value: Value) -> Value {
    match value {
        Value::Number(number) => number.as_f64().map_or(Value::Null, Value::from),
        Value::String(text) => match DateTime::parse_from_rfc3339(&text) {
            Ok(instant) => Value::from(instant.timestamp_millis()),
            Err(_) => Value::String(text),
        },
        Value::Array(items) => items.into_iter().map(plain).collect(),
        Value::Object(fields) => {
            fields.into_iter().map(|(name, field)| (name, plain(field))).collect::<Map<_, _>>().into()
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(ours: &str, theirs: &str) -> bool {
        let [ours, theirs] = [ours, theirs].map(|body| Answer { status: 200, etag: None, body: body.into() });
        compare(&ours, &theirs).is_ok()
    }

    #[test]
    fn what_means_the_same_is_the_same() {
        assert!(same(
            r#"{"a":1,"b":"2026-11-20T16:00:00.123456Z"}"#,
            r#"{"b":"2026-11-20T16:00:00.123+00:00","a":1.0}"#
        ));
        assert!(!same(r#"{"a":1}"#, r#"{"a":2}"#));
        assert!(!same(r#"{"a":null}"#, r"{}"));
        assert!(!same(r#"{"a":"x"}"#, r#"{"a":"y"}"#));
    }
}
