//! Redis: connections that come back by themselves.

use std::time::Duration;

use redis::IntoConnectionInfo;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::io::tcp::TcpSettings;
use url::Url;

/// A server that is there answers its handshake within this time.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(2);
/// Every command we send is bounded; one that takes longer is stuck.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);
/// A server that acknowledges nothing for so long is gone, even if nobody closed the connection.
const PEER_SILENCE: Duration = Duration::from_secs(5);
const MAX_RECONNECT_DELAY: Duration = Duration::from_secs(1);

/// The client of the server at `url`; opens nothing yet.
///
/// # Errors
/// If the address cannot be read.
pub fn client(url: &Url) -> redis::RedisResult<redis::Client> {
    let tcp = TcpSettings::default().set_nodelay(true).set_user_timeout(PEER_SILENCE);
    redis::Client::open(url.as_str().into_connection_info()?.set_tcp_settings(tcp))
}

/// A shared connection that reconnects by itself. Returns at once; the first command connects.
///
/// # Errors
/// If the configuration cannot be used.
pub fn connection(client: &redis::Client) -> redis::RedisResult<ConnectionManager> {
    let config = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(CONNECTION_TIMEOUT))
        .set_response_timeout(Some(RESPONSE_TIMEOUT))
        .set_max_delay(MAX_RECONNECT_DELAY);
    ConnectionManager::new_lazy_with_config(client.clone(), config)
}
