//! Redis goes away, comes back, or forgets.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bellwork_queue::{DEAD_AFTER, Recovered, Upkeep, Verdict};
use tokio::sync::mpsc;

use crate::support::{QUEUE, Trial, connect, jobs, take, within};

/// A Redis of its own, gone when dropped.
struct PrivateRedis {
    child: Child,
    port: u16,
    dir: std::path::PathBuf,
}

impl PrivateRedis {
    async fn start() -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let dir = std::env::temp_dir().join(format!("bellwork-redis-{port}"));
        std::fs::create_dir_all(&dir).unwrap();
        let redis = Self { child: Self::spawn(port, &dir), port, dir };
        redis.ready().await;
        redis
    }

    fn spawn(port: u16, dir: &std::path::Path) -> Child {
        let mut server = Command::new("redis-server");
        server.args(["--port", &port.to_string(), "--appendonly", "yes", "--save", ""]).arg("--dir").arg(dir);
        server.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("redis-server is installed")
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    async fn ready(&self) {
        within(async {
            loop {
                if let Ok(mut connection) = connect(&self.url()).await
                    && redis::cmd("PING").query_async::<String>(&mut connection).await.is_ok()
                {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
    }

    async fn restart(&mut self) {
        self.stop();
        self.start_again().await;
    }

    fn stop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    async fn start_again(&mut self) {
        self.child = Self::spawn(self.port, &self.dir);
        self.ready().await;
    }
}

impl Drop for PrivateRedis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

#[tokio::test]
async fn workers_go_on_after_redis_was_killed_and_restarted() {
    let mut redis = PrivateRedis::start().await;
    let trial = Trial::on(&redis.url()).await;
    let (begun, mut running) = mpsc::unbounded_channel();
    let (proceed, paused) = tokio::sync::watch::channel(false);
    let working = trial.work(10, move |delivery| {
        let (begun, mut paused) = (begun.clone(), paused.clone());
        async move {
            begun.send(delivery.id).unwrap();
            paused.wait_for(|go| *go).await.unwrap();
            Verdict::Complete
        }
    });
    let working = working.await;
    trial.push(jobs(3)).await;
    take(&mut running, 3).await;

    redis.restart().await;
    proceed.send(true).unwrap();
    let producer = trial.engine.producer();
    within(async {
        while producer.push(QUEUE, jobs(1)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    take(&mut running, 1).await;
    working.drain().await;
    assert_eq!(trial.keys().await, ["leases", "state"], "what ran through the restart was completed after it");
}

/// When Redis comes back every beat is old; the living must not be taken for dead.
#[tokio::test]
async fn a_long_outage_of_redis_robs_nobody() {
    let mut redis = PrivateRedis::start().await;
    let trial = Trial::on(&redis.url()).await;
    let (begun, mut running) = mpsc::unbounded_channel();
    let (proceed, paused) = tokio::sync::watch::channel(false);
    let working = trial.work(3, move |delivery| {
        let (begun, mut paused) = (begun.clone(), paused.clone());
        async move {
            begun.send(delivery.marks).unwrap();
            paused.wait_for(|go| *go).await.unwrap();
            Verdict::Complete
        }
    });
    let working = working.await;
    trial.push(jobs(3)).await;
    take(&mut running, 3).await;
    let mut upkeep = Upkeep::new(&trial.engine, QUEUE).unwrap();
    upkeep.recover().await.unwrap();
    redis.stop();
    tokio::time::sleep(DEAD_AFTER + Duration::from_secs(1)).await;
    redis.start_again().await;
    let back = std::time::Instant::now();
    while back.elapsed() < DEAD_AFTER + Duration::from_secs(2) {
        if let Ok(recovered) = upkeep.recover().await {
            assert_eq!(recovered, Recovered::default(), "a live process was robbed");
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    proceed.send(true).unwrap();
    working.drain().await;
    assert!(running.try_recv().is_err(), "each ran once");
}

#[tokio::test]
async fn workers_go_on_after_redis_was_emptied() {
    let redis = PrivateRedis::start().await;
    let trial = Trial::on(&redis.url()).await;
    let (working, mut done) = trial.collect(10).await;
    trial.push(jobs(2)).await;
    take(&mut done, 2).await;
    let () = redis::cmd("FLUSHALL").query_async(&mut trial.redis.clone()).await.unwrap();
    let () = redis::cmd("SCRIPT").arg("FLUSH").query_async(&mut trial.redis.clone()).await.unwrap();
    trial.push(jobs(2)).await;
    take(&mut done, 2).await;
    working.drain().await;
}
