//! Several servers that belong together: with sentinels, and as a cluster.

use bellwork_testkit::folder::Folder;
use bellwork_testkit::program::free_port;
use bellwork_testkit::redis_server::RedisServer;
use redis::RedisResult;

use crate::replication::{is_linked, replicated};
use crate::support::{until, within};

/// How soon a silent server is taken for dead, in ms: soon, where one is to die …
pub(crate) const QUICK: &str = "1000";
/// … and where none is, not because the machine is busy.
pub(crate) const PATIENT: &str = "10000";

pub(crate) const MASTERS: usize = 3;

/// A master, its replica, and three sentinels that know them and each other.
pub(crate) struct Sentinels {
    pub(crate) servers: [RedisServer; 2],
    sentinels: Vec<RedisServer>,
}

impl Sentinels {
    pub(crate) async fn start(silence: &str) -> Self {
        let servers = replicated().await;
        let port = servers[0].port.to_string();
        let sentinels: Vec<RedisServer> = (0..3).map(|_| Self::sentinel(&port, silence)).collect();
        for sentinel in &sentinels {
            let agreed = async || {
                let known: RedisResult<std::collections::HashMap<String, String>> =
                    sentinel.ask("SENTINEL MASTER main").await;
                known.is_ok_and(|known| known["num-slaves"] == "1" && known["num-other-sentinels"] == "2")
            };
            until(agreed).await;
        }
        Self { servers, sentinels }
    }

    fn sentinel(master_port: &str, silence: &str) -> RedisServer {
        let folder = Folder::new();
        let lines = [
            &format!("sentinel monitor main 127.0.0.1 {master_port} 2"),
            &format!("sentinel down-after-milliseconds main {silence}"),
            "sentinel failover-timeout main 4000",
        ];
        let file = folder.file("sentinel.conf", &lines.join("\n"));
        RedisServer::launch(folder, &[&file, "--sentinel"])
    }

    pub(crate) fn url(&self) -> String {
        let sentinels: Vec<String> = self.sentinels.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
        format!("redis+sentinel://{}/main", sentinels.join(","))
    }
}

/// A cluster of masters with consecutive slots, each with as many replicas.
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<RedisServer>,
    bus_ports: Vec<u16>,
}

impl Cluster {
    /// The first [`MASTERS`] nodes are masters, the others their replicas in order.
    pub(crate) async fn start(replicas_each: usize, silence: &str, options: &[&str]) -> Self {
        let bus_ports: Vec<u16> = (0..MASTERS * (1 + replicas_each)).map(|_| free_port()).collect();
        let nodes = bus_ports.iter().map(|bus| {
            let bus = bus.to_string();
            let mut arguments = vec!["--cluster-enabled", "yes", "--cluster-node-timeout", silence];
            arguments.extend(["--cluster-port", &bus, "--repl-diskless-sync-delay", "0", "--appendonly", "yes"]);
            arguments.extend(options);
            RedisServer::launch(Folder::new(), &arguments)
        });
        let mut cluster = Self { nodes: nodes.collect(), bus_ports };
        for node in &mut cluster.nodes {
            node.ready().await;
        }
        cluster.introduce().await;
        cluster.share_out(replicas_each).await;
        cluster
    }

    async fn introduce(&self) {
        for (index, node) in self.nodes.iter().enumerate() {
            let _: String = node.ask(&format!("CLUSTER SET-CONFIG-EPOCH {}", index + 1)).await.unwrap();
            let (first, bus) = (&self.nodes[0], self.bus_ports[0]);
            let _: String = node.ask(&format!("CLUSTER MEET 127.0.0.1 {} {bus}", first.port)).await.unwrap();
        }
        let all = format!("cluster_known_nodes:{}\r", self.nodes.len());
        for node in &self.nodes {
            until(async || node.ask::<String>("CLUSTER INFO").await.unwrap().contains(&all)).await;
        }
    }

    async fn share_out(&self, replicas_each: usize) {
        let share = 16_384 / MASTERS + 1;
        for (index, node) in self.nodes[..MASTERS].iter().enumerate() {
            let (first, last) = (index * share, ((index + 1) * share - 1).min(16_383));
            let _: String = node.ask(&format!("CLUSTER ADDSLOTSRANGE {first} {last}")).await.unwrap();
            let id: String = node.ask("CLUSTER MYID").await.unwrap();
            for replica in self.nodes[MASTERS..].iter().skip(index * replicas_each).take(replicas_each) {
                // Not before it knows the master.
                until(async || replica.ask::<String>(&format!("CLUSTER REPLICATE {id}")).await.is_ok()).await;
            }
        }
        for node in &self.nodes {
            until(async || {
                let info: String = node.ask("CLUSTER INFO").await.unwrap();
                info.contains("cluster_state:ok") && info.contains("cluster_slots_assigned:16384\r")
            })
            .await;
        }
        for replica in &self.nodes[MASTERS..] {
            is_linked(replica).await;
        }
    }

    /// Which of the nodes that answer serves `key` as a master.
    pub(crate) async fn master_of(&self, key: &str) -> usize {
        within(async {
            loop {
                for (index, node) in self.nodes.iter().enumerate() {
                    // A node refuses what is not its own.
                    let role: RedisResult<Vec<redis::Value>> = node.ask("ROLE").await;
                    let is_master = role.is_ok_and(|role| role[0] == redis::Value::BulkString(b"master".to_vec()));
                    if is_master && node.ask::<u64>(&format!("EXISTS {key}")).await.is_ok() {
                        return index;
                    }
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        })
        .await
    }

    /// With the first two nodes as seeds.
    pub(crate) fn url(&self) -> String {
        format!("redis+cluster://127.0.0.1:{},127.0.0.1:{}", self.nodes[0].port, self.nodes[1].port)
    }
}
