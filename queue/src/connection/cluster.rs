//! A cluster: each command goes to the master of its slot, and a node that is away stops nothing but its own slots.
//!
//! Nothing is ever sent twice but what a node has refused with a redirection: a claim whose answer was lost must be known
//! as lost, since its jobs are leased. A pipeline is sent again as a whole, with what in it has no key.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use redis::{ErrorKind, RedisError, RedisResult, ServerErrorKind, Value};

use super::access::{Access, Node};
use super::kept::Kept;
use super::link::Link;
use super::request::{Request, error_in, loses_connection};
use super::slots::{SlotMap, parse_redirection, slot_of};

/// The most redirections of a command: two while a slot moves, and one to spare.
const REDIRECTIONS: usize = 3;

pub(super) struct Cluster {
    access: Access,
    slots: Kept<Arc<SlotMap>>,
    /// Held across no await.
    links: Mutex<HashMap<Node, Arc<Link>>>,
}

/// Where a node has sent us.
enum Redirection {
    /// The slot is there now.
    Moved(Node),
    /// The slot is on its way there, and so is this key.
    Ask(Node),
}

impl Cluster {
    pub(super) fn new(access: Access, seeds: Vec<Node>) -> Self {
        let known = Arc::new(Mutex::new(seeds.clone()));
        let asking = access.clone();
        let slots = Kept::new(move || {
            let (access, seeds, known) = (asking.clone(), seeds.clone(), Arc::clone(&known));
            let nodes = known.lock().unwrap_or_else(PoisonError::into_inner).clone();
            async move {
                let slots = look_up(&access, &nodes).await?;
                let mut nodes = seeds;
                nodes.extend(slots.nodes().cloned());
                nodes.sort_by(|a, b| (&a.host, a.port).cmp(&(&b.host, b.port)));
                nodes.dedup();
                *known.lock().unwrap_or_else(PoisonError::into_inner) = nodes;
                Ok(Arc::new(slots))
            }
            .boxed()
        });
        Self { access, slots, links: Mutex::default() }
    }

    pub(super) async fn send(&self, request: Request<'_>, slot: u16) -> RedisResult<Vec<Value>> {
        let mut redirection = None;
        for _ in 0..REDIRECTIONS {
            let (age, slots) = self.slots.get().await?;
            let (node, answers) = match redirection {
                Some(Redirection::Ask(node)) => {
                    let answers = self.link(&node, &slots).send_asking(request).await;
                    (node, answers)
                }
                Some(Redirection::Moved(node)) => {
                    let answers = self.link(&node, &slots).send(request).await;
                    (node, answers)
                }
                None => {
                    let node = slots.owner(slot).cloned().ok_or_else(|| self.unserved(age, slot))?;
                    let answers = self.link(&node, &slots).send(request).await;
                    (node, answers)
                }
            };
            let Some(error) = error_in(&answers) else { return answers };
            if loses_connection(&error) || error.is_cluster_error() {
                self.slots.lose(age);
            }
            redirection = redirected(&error, &node, request);
            if redirection.is_none() {
                return answers;
            }
        }
        Err((ServerErrorKind::TryAgain.into(), "the slot moves about").into())
    }

    /// The masters, each by its own answer to `request`.
    pub(super) async fn send_to_all(&self, request: Request<'_>) -> RedisResult<Vec<Value>> {
        let (age, slots) = self.slots.get().await?;
        let masters = slots.masters();
        let answers = masters.iter().map(|node| {
            let link = self.link(node, &slots);
            async move { link.send(request).await }
        });
        let answers = futures_util::future::try_join_all(answers).await.inspect_err(|_| self.slots.lose(age))?;
        Ok(answers.into_iter().flatten().collect())
    }

    /// The link to `node`. Those to nodes that have left the cluster go.
    fn link(&self, node: &Node, slots: &SlotMap) -> Arc<Link> {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(link) = links.get(node) {
            return Arc::clone(link);
        }
        links.retain(|node, _| slots.nodes().any(|known| known == node));
        let (access, address) = (self.access.clone(), self.access.address(node));
        let connect = move || {
            let (access, address) = (access.clone(), address.clone());
            async move { access.connect(address).await }.boxed()
        };
        let link = Arc::new(Link(Kept::new(connect)));
        links.insert(node.clone(), Arc::clone(&link));
        link
    }

    fn unserved(&self, age: u64, slot: u16) -> RedisError {
        self.slots.lose(age);
        (ServerErrorKind::ClusterDown.into(), "no master serves the slot", slot.to_string()).into()
    }
}

fn redirected(error: &RedisError, asked: &Node, request: Request<'_>) -> Option<Redirection> {
    let node = parse_redirection(error.detail()?, asked)?;
    match (error.kind(), request) {
        (ErrorKind::Server(ServerErrorKind::Moved), _) => Some(Redirection::Moved(node)),
        (ErrorKind::Server(ServerErrorKind::Ask), Request::Command(_)) => Some(Redirection::Ask(node)),
        _ => None,
    }
}

/// The slot of `request`; none if it has no key.
///
/// # Errors
/// If its commands are for several.
pub(super) fn slot_of_request(request: Request<'_>) -> RedisResult<Option<u16>> {
    let mut slots = request.commands().filter_map(slot_of);
    let first = slots.next();
    if slots.all(|slot| Some(slot) == first) {
        return Ok(first);
    }
    Err((ServerErrorKind::CrossSlot.into(), "a pipeline must keep to one slot").into())
}

/// Asks all `nodes` at once who serves what; the first one that knows tells.
pub(super) async fn look_up(access: &Access, nodes: &[Node]) -> RedisResult<SlotMap> {
    let mut asked: FuturesUnordered<_> = nodes.iter().map(|node| ask(access, node)).collect();
    let mut failure: Option<RedisError> = None;
    while let Some(found) = asked.next().await {
        match found {
            Ok(slots) => return Ok(slots),
            Err(error) if failure.is_none() || !error.is_io_error() => failure = Some(error),
            Err(_) => {}
        }
    }
    Err(failure.unwrap_or_else(|| (ErrorKind::ClusterConnectionNotFound, "no node is known").into()))
}

async fn ask(access: &Access, node: &Node) -> RedisResult<SlotMap> {
    let mut connection = access.connect(access.address(node)).await?;
    let answer = redis::cmd("CLUSTER").arg("SLOTS").query_async(&mut connection).await?;
    let unknown = || (ServerErrorKind::ClusterDown.into(), "a node knows of no slot", node.to_string()).into();
    SlotMap::parse(&answer, node).ok_or_else(unknown)
}
