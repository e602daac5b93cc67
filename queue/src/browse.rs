//! Looking through the jobs of a queue, page by page, and at the processes that serve it.

use std::fmt;
use std::str::FromStr;

use redis::Value;
use redis::aio::ConnectionLike;
use uuid::Uuid;

use crate::error::Error;
use crate::inspector::Inspector;
use crate::keys::Keys;
use crate::priority::Priority;
use crate::process::{DEAD_AFTER, ProcessInfo};

/// The most jobs of a page.
const MAX_PAGE: usize = 1000;

/// Which jobs to look through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// The ready jobs of a priority that have no group, in the order in which they run.
    Ready(Priority),
    /// The ready jobs of groups, in no order.
    Grouped,
    /// Waiting for their time, the earliest first.
    Scheduled,
    /// Running, in no order.
    Running,
    /// The dead letters of the engine, in no order.
    Dead,
    /// Waiting for a newer worker, in no order.
    AwaitsNewer,
}

/// Some jobs, and where the next page begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Their ids. Orders that Redis keeps as hashes come in pages of about the size asked for, and while they change an id
    /// may come twice.
    pub ids: Vec<Uuid>,
    /// To be shown for the next page; none after the last. A page may be empty and not the last.
    pub next: Option<Cursor>,
}

/// A page of one partition.
type Part = (Vec<Uuid>, Option<u64>);

/// Where a page begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// The partition.
    part: usize,
    /// How far in it.
    at: u64,
}

/// As text, for an address.
impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.part, self.at)
    }
}

/// One that was made up leads to an arbitrary page.
impl FromStr for Cursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let read = || {
            let (part, at) = text.split_once(':')?;
            Some(Self { part: part.parse().ok()?, at: at.parse().ok()? })
        };
        read().ok_or(Error::Invalid { field: "cursor", reason: "must be one that a page gave" })
    }
}

/// A process that serves a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServingProcess {
    /// Its identity.
    pub process: String,
    /// Its last beat, in ms since 1970.
    pub last_beat: i64,
    /// Whether it has beaten lately.
    pub alive: bool,
    /// Where and since when it runs.
    pub info: Option<ProcessInfo>,
}

/// A job that a process runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunningJob {
    /// The job.
    pub id: Uuid,
    /// The process, see [`ServingProcess::process`].
    pub process: String,
}

impl Inspector {
    /// A page of the jobs of `queue`, about `limit` of them; the cost grows with the page, not with the queue.
    ///
    /// # Errors
    /// If Redis fails.
    pub async fn page(&self, queue: &str, listed: Listed, from: Option<Cursor>, limit: usize) -> Result<Page, Error> {
        let (parts, from) = (self.parts(queue)?, from.unwrap_or_default());
        let Some(keys) = parts.get(from.part) else { return Ok(Page::default()) };
        let (ids, next) = self.part_page(keys, listed, from.at, limit.clamp(1, MAX_PAGE)).await?;
        let next_part = Cursor { part: from.part + 1, at: 0 };
        let next = next.map(|at| Cursor { at, ..from }).or((next_part.part < parts.len()).then_some(next_part));
        Ok(Page { ids, next })
    }

    /// The running jobs of `queue`, in no order, and no more than about `most`. They are as many as all processes have places.
    ///
    /// # Errors
    /// If Redis fails.
    pub async fn running(&self, queue: &str, most: usize) -> Result<Vec<RunningJob>, Error> {
        let mut running = Vec::new();
        for keys in self.parts(queue)? {
            let mut from = 0;
            while running.len() < most {
                let mut scan = redis::cmd("HSCAN");
                scan.arg(&*keys.leases).arg(from).arg("COUNT").arg(MAX_PAGE);
                let (next, leases): (u64, Vec<(Vec<u8>, Vec<u8>)>) =
                    scan.query_async(&mut self.0.connection.clone()).await?;
                running.extend(leases.iter().filter_map(|(id, lease)| running_job(id, lease)));
                from = next;
                if next == 0 {
                    break;
                }
            }
        }
        // While the hash changes, a walk may meet a job twice.
        running.sort_unstable_by_key(|job: &RunningJob| job.id);
        running.dedup_by_key(|job| job.id);
        Ok(running)
    }

    async fn part_page(&self, keys: &Keys, listed: Listed, from: u64, limit: usize) -> Result<Part, Error> {
        let connection = &mut self.0.connection.clone();
        match listed {
            Listed::Ready(priority) => {
                ranged(connection, "LRANGE", &keys.ready[priority as usize], from, limit, 0).await
            }
            Listed::Scheduled => ranged(connection, "ZRANGE", &keys.scheduled, from, limit, 1).await,
            Listed::Running => scanned(connection, &keys.leases, from, limit, Found::Field).await,
            Listed::Dead => scanned(connection, &keys.dead, from, limit, Found::Field).await,
            Listed::AwaitsNewer => scanned(connection, &keys.newer, from, limit, Found::Field).await,
            Listed::Grouped => scanned(connection, &keys.lanes, from, limit, Found::Chunk).await,
        }
    }

    /// The processes that serve `queue`, dead ones that nobody has struck off yet among them.
    ///
    /// # Errors
    /// If Redis fails.
    pub async fn processes(&self, queue: &str) -> Result<Vec<ServingProcess>, Error> {
        // A process that serves a queue serves all its partitions.
        let Keys { processes, process_info, .. } = self.parts(queue)?.swap_remove(0);
        let mut look = redis::pipe();
        look.cmd("TIME").cmd("ZRANGE").arg(&*processes).arg(0).arg(-1).arg("WITHSCORES");
        look.cmd("HGETALL").arg(&*process_info);
        type Answer = ((i64, i64), Vec<(String, i64)>, std::collections::HashMap<String, String>);
        let ((seconds, _), beats, infos): Answer = look.query_async(&mut self.0.connection.clone()).await?;
        let silence = i64::try_from(DEAD_AFTER.as_millis()).unwrap_or(i64::MAX);
        let server = |(process, last_beat): (String, i64)| ServingProcess {
            alive: seconds * 1000 - last_beat < silence,
            info: infos.get(&process).and_then(|info| serde_json::from_str(info).ok()),
            process,
            last_beat,
        };
        Ok(beats.into_iter().map(server).collect())
    }
}

/// A lease names its process after the priority.
fn running_job(id: &[u8], lease: &[u8]) -> Option<RunningJob> {
    let process = String::from_utf8_lossy(lease.get(1..9)?).into_owned();
    Some(RunningJob { id: Uuid::from_slice(id).ok()?, process })
}

/// Reads a part of a list, or of a sorted set by rank, whose ids begin after `skip` bytes.
async fn ranged(
    connection: &mut impl ConnectionLike,
    command: &str,
    key: &str,
    from: u64,
    limit: usize,
    skip: usize,
) -> Result<Part, Error> {
    let last = from.saturating_add(limit as u64 - 1).min(i64::MAX.unsigned_abs());
    let entries: Vec<Vec<u8>> =
        redis::cmd(command).arg(key).arg(from.min(last)).arg(last).query_async(connection).await?;
    let next = (entries.len() == limit).then_some(last + 1);
    let ids = entries.iter().filter_map(|entry| Uuid::from_slice(entry.get(skip..skip + 16)?).ok());
    Ok((ids.collect(), next))
}

/// Where the ids of a hash stand.
enum Found {
    /// In its fields.
    Field,
    /// In its values, many in each; the first one of a lane stands behind eight bytes.
    Chunk,
}

async fn scanned(
    connection: &mut impl ConnectionLike,
    key: &str,
    from: u64,
    limit: usize,
    found: Found,
) -> Result<Part, Error> {
    let mut scan = redis::cmd("HSCAN");
    scan.arg(key).arg(from).arg("COUNT").arg(limit);
    let (next, entries): (u64, Vec<Value>) = scan.query_async(connection).await?;
    let mut ids = Vec::new();
    for entry in entries.chunks_exact(2) {
        let [Value::BulkString(field), Value::BulkString(value)] = entry else { continue };
        match found {
            Found::Field => ids.extend(Uuid::from_slice(field).ok()),
            Found::Chunk => {
                let head = if field.contains(&0) { 0 } else { 8 };
                ids.extend(value[head.min(value.len())..].chunks_exact(16).filter_map(|id| Uuid::from_slice(id).ok()));
            }
        }
    }
    Ok((ids, (next != 0).then_some(next)))
}
