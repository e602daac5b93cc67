//! A user of Redis who may do what the engine needs, and nothing else.

use bellwork_queue::{Engine, Pushed, Server, Trouble};
use bellwork_testkit::DEADLINE;
use bellwork_testkit::redis_server::{PATIENCE, RedisServer, connect};

use crate::life::whole_life;
use crate::support::{QUEUE, Trial, jobs, until, within};

const README: &str = include_str!("../../README.md");

/// The rule in the README, for another name, password and prefix, with what else it says that a topology needs.
pub(crate) fn rule(name: &str, prefix: &str, more: &[&str]) -> String {
    let rule = README.lines().find_map(|line| line.strip_prefix("user bellwork ")).expect("the README holds a rule");
    let rule = rule.replace("{bellwork:", &format!("{{{prefix}")).replace(">password", ">secret");
    assert!(more.iter().all(|right| README.contains(&format!("`{right}`"))), "{more:?}");
    ["ACL", "SETUSER", name, &rule].into_iter().chain(more.iter().copied()).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn the_rule_in_the_readme_is_enough() {
    let redis = RedisServer::start(&[]).await;
    let _: String = redis.ask(&rule("worker", "test-", &[])).await.unwrap();
    let _: String = redis.ask("ACL SETUSER default off").await.unwrap();
    let url = format!("redis://worker:secret@127.0.0.1:{}", redis.port);
    let (old, new) = (Trial::on(&url).await, Trial::on(&format!("{url}?protocol=resp3")).await);
    tokio::join!(whole_life(&old), whole_life(&new));
}

#[tokio::test]
async fn a_queue_outside_of_the_rule_is_refused() {
    let redis = RedisServer::start(&[]).await;
    let _: String = redis.ask(&rule("worker", "own:", &[])).await.unwrap();
    let push = async |prefix: &str| {
        let server = format!("redis://worker:secret@127.0.0.1:{}", redis.port).parse().unwrap();
        Engine::new(server, prefix).producer().push(QUEUE, jobs(1)).await
    };
    assert_eq!(push("own").await.unwrap(), [Pushed::Stored]);
    let error = push("foreign").await.unwrap_err();
    assert_eq!((error.trouble(), error.is_transient()), (Some(Trouble::Forbidden), false), "{error}");
    assert!(error.to_string().contains("README"), "{error}");
    let mut worker = connect(&format!("redis://worker:secret@127.0.0.1:{}", redis.port), PATIENCE).await.unwrap();
    for words in
        [["FLUSHALL", "SYNC"], ["KEYS", "*"], ["CONFIG", "RESETSTAT"], ["GET", "key"], ["SORT", "{own:work}:dead"]]
    {
        let refused = redis::cmd(words[0]).arg(words[1]).query_async::<redis::Value>(&mut worker).await.unwrap_err();
        assert_eq!(refused.code(), Some("NOPERM"), "{words:?}");
    }
}

#[tokio::test]
async fn a_wrong_password_is_told_at_once_and_a_corrected_one_needs_no_restart() {
    let redis = RedisServer::start(&[]).await;
    let _: String = redis.ask("CONFIG SET requirepass right").await.unwrap();
    for login in ["", ":wrong@", "nobody:right@"] {
        for protocol in ["resp2", "resp3"] {
            let url = format!("redis://{login}127.0.0.1:{}?protocol={protocol}", redis.port);
            // With a patience that no test has: whoever waits for it is too late.
            let server = url.parse::<Server>().unwrap().with_timeouts(2 * DEADLINE, 2 * DEADLINE);
            let error = within(Engine::new(server, "test").producer().push(QUEUE, jobs(1))).await.unwrap_err();
            assert_eq!((error.trouble(), error.is_transient()), (Some(Trouble::Credentials), false), "{error}");
            assert!(error.to_string().contains("correct user and password"), "{error}");
        }
    }
    let server = format!("redis://:late@127.0.0.1:{}", redis.port).parse().unwrap();
    let producer = Engine::new(server, "test").producer();
    producer.push(QUEUE, jobs(1)).await.unwrap_err();
    let mut right = connect(&format!("redis://:right@127.0.0.1:{}", redis.port), PATIENCE).await.unwrap();
    let change = redis::cmd("CONFIG").arg(&["SET", "requirepass", "late"]).query_async::<()>(&mut right).await;
    change.unwrap();
    until(async || producer.push(QUEUE, jobs(1)).await.is_ok()).await;
}
