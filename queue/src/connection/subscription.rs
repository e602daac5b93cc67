//! Listening to channels that belong to queues: in a cluster, to each on the master of its slot.

use std::collections::HashMap;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Client, ErrorKind, ProtocolVersion, PushInfo, PushKind, RedisResult, ServerErrorKind, Value};
use tokio::sync::mpsc;

use super::cluster::look_up;
use super::server::{Server, Topology};
use super::slots::slot_of_key;

/// How often the connections are asked whether they still work: one whose other end is gone may be silent for ever.
const PING_EVERY: Duration = Duration::from_secs(5);

/// As sharded channels and as ordinary ones: it does not matter which of SPUBLISH and PUBLISH rings.
const VERBS: [&str; 2] = ["SSUBSCRIBE", "SUBSCRIBE"];

/// What was published, and where.
pub(crate) struct Message {
    pub(crate) channel: String,
    pub(crate) payload: Vec<u8>,
}

pub(crate) struct Subscription {
    connections: Vec<MultiplexedConnection>,
    pushes: mpsc::UnboundedReceiver<PushInfo>,
}

impl Subscription {
    /// Stands when this returns.
    pub(crate) async fn open(server: &Server, channels: &[&str]) -> RedisResult<Self> {
        // Pushes beside answers need RESP3.
        let mut server = server.clone();
        server.access.login = server.access.login.clone().set_protocol(ProtocolVersion::RESP3);
        let (sender, pushes) = mpsc::unbounded_channel();
        let mut connections = Vec::new();
        for (client, channels) in places(&server, channels).await? {
            let config = server.access.config().set_push_sender(sender.clone());
            let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
            for verb in VERBS {
                for channel in &channels {
                    // One at a time: each is confirmed by itself.
                    let _: Value = redis::cmd(verb).arg(channel).query_async(&mut connection).await?;
                }
            }
            connections.push(connection);
        }
        Ok(Self { connections, pushes })
    }

    /// The next message.
    ///
    /// # Errors
    /// If a connection is gone, or a slot has moved: then open another subscription.
    pub(crate) async fn next(&mut self) -> RedisResult<Message> {
        loop {
            let push = match tokio::time::timeout(PING_EVERY, self.pushes.recv()).await {
                Err(_) => {
                    self.ping().await?;
                    continue;
                }
                Ok(push) => push.ok_or((ErrorKind::Io, "the subscription has ended"))?,
            };
            match push.kind {
                PushKind::Message | PushKind::SMessage => {
                    if let Ok([channel, payload]) = <[Value; 2]>::try_from(push.data) {
                        let channel = redis::from_redis_value(channel)?;
                        return Ok(Message { channel, payload: redis::from_redis_value(payload)? });
                    }
                }
                PushKind::Disconnection => return Err((ErrorKind::Io, "the subscription was cut").into()),
                PushKind::SUnsubscribe => {
                    return Err((ServerErrorKind::TryAgain.into(), "the slot of the channel has moved").into());
                }
                _ => {}
            }
        }
    }

    async fn ping(&mut self) -> RedisResult<()> {
        for connection in &mut self.connections {
            let _: Value = redis::cmd("PING").query_async(connection).await?;
        }
        Ok(())
    }
}

type Place<'a> = (Client, Vec<&'a str>);

/// Which channels to listen to, and where.
async fn places<'a>(server: &Server, channels: &[&'a str]) -> RedisResult<Vec<Place<'a>>> {
    let access = &server.access;
    let everywhere = |client| vec![(client, channels.to_vec())];
    let seeds = match &server.topology {
        Topology::Single(address) => return Ok(everywhere(access.client(address.clone())?)),
        Topology::Sentinel(sentinels) => return Ok(everywhere(sentinels.find(access).await?.0)),
        Topology::Cluster(seeds) => seeds,
    };
    let slots = look_up(access, seeds).await?;
    let mut by_master: HashMap<_, Vec<&str>> = HashMap::new();
    for channel in channels {
        let unserved = || (ServerErrorKind::ClusterDown.into(), "no master serves the slot of a channel");
        let master = slots.owner(slot_of_key(channel.as_bytes())).ok_or_else(unserved)?;
        by_master.entry(master.clone()).or_default().push(channel);
    }
    let place = |(master, channels)| Ok((access.client(access.address(&master))?, channels));
    by_master.into_iter().map(place).collect()
}
