//! The one Redis that all share.

use std::time::Duration;

use redis::AsyncCommands;
use redis::aio::ConnectionManager;

/// While Redis rewrites its file, the next peer waits.
const LOOK: Duration = Duration::from_millis(50);

/// The server as the benchmark sees it.
#[derive(Clone)]
pub(crate) struct Server(ConnectionManager);

impl Server {
    /// Connects.
    pub(crate) async fn connect(url: &str) -> anyhow::Result<Self> {
        Ok(Self(ConnectionManager::new(redis::Client::open(url)?).await?))
    }

    /// Makes it as if nobody had been there.
    pub(crate) async fn clear(&self) -> anyhow::Result<()> {
        let () = redis::cmd("FLUSHALL").arg("SYNC").query_async(&mut self.0.clone()).await?;
        while self.info("persistence", "aof_rewrite_in_progress").await? > 0.0 {
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// The bytes of what it holds: not of its clients, their scripts, or what it has yet to write.
    pub(crate) async fn memory(&self) -> anyhow::Result<f64> {
        let mut bytes = self.info("memory", "used_memory").await?;
        for other in ["mem_clients_normal", "mem_aof_buffer", "used_memory_scripts_eval"] {
            bytes -= self.info("memory", other).await?;
        }
        Ok(bytes)
    }

    /// How many jobs have been seen in `set`.
    pub(crate) async fn seen(&self, set: &str) -> anyhow::Result<usize> {
        Ok(self.0.clone().scard(set).await?)
    }

    async fn info(&self, section: &str, field: &str) -> anyhow::Result<f64> {
        let info: String = redis::cmd("INFO").arg(section).query_async(&mut self.0.clone()).await?;
        let mut fields = info.lines().filter_map(|line| line.split_once(':'));
        let value = fields.find(|(name, _)| *name == field).map_or("0", |(_, value)| value);
        Ok(value.trim().parse()?)
    }
}
