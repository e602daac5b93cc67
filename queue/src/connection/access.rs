//! How to enter a server, whichever it turns out to be: log-in, TLS and patience.

use std::fmt;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo, RedisResult,
    TlsCertificates,
};

/// A server that is there answers its handshake within this time.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Every command we send is bounded; one that takes longer is stuck.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);
/// A server that acknowledges nothing for this long is gone, even if nobody closed the connection.
const PEER_SILENCE: Duration = Duration::from_secs(5);

#[derive(Clone)]
pub(super) struct Access {
    pub(super) login: RedisConnectionInfo,
    pub(super) tls: Option<TlsCertificates>,
    pub(super) connect_timeout: Duration,
    pub(super) response_timeout: Duration,
}

/// A server's address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Node {
    pub(super) host: String,
    pub(super) port: u16,
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl Access {
    pub(super) fn new(login: RedisConnectionInfo, tls: Option<TlsCertificates>) -> Self {
        Self { login, tls, connect_timeout: CONNECT_TIMEOUT, response_timeout: RESPONSE_TIMEOUT }
    }

    pub(super) fn address(&self, node: &Node) -> ConnectionAddr {
        let Node { host, port } = node.clone();
        match self.tls {
            Some(_) => ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None },
            None => ConnectionAddr::Tcp(host, port),
        }
    }

    pub(super) fn client(&self, address: ConnectionAddr) -> RedisResult<Client> {
        let tcp = TcpSettings::default().set_nodelay(true).set_user_timeout(PEER_SILENCE);
        let info = address.into_connection_info()?.set_tcp_settings(tcp).set_redis_settings(self.login.clone());
        match &self.tls {
            Some(certificates) => Client::build_with_tls(info, certificates.clone()),
            None => Client::open(info),
        }
    }

    pub(super) fn config(&self) -> AsyncConnectionConfig {
        AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.connect_timeout))
            .set_response_timeout(Some(self.response_timeout))
    }

    pub(super) async fn connect(&self, address: ConnectionAddr) -> RedisResult<MultiplexedConnection> {
        self.client(address)?.get_multiplexed_async_connection_with_config(&self.config()).await
    }
}
