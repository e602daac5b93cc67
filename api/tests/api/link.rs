//! A TCP link to Redis that can be cut.

use std::sync::{Arc, Mutex};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Passes connections on until it is cut.
pub(crate) struct Link {
    pub(crate) url: String,
    connections: Arc<Mutex<JoinSet<()>>>,
}

impl Link {
    pub(crate) async fn to(redis_url: &str) -> Self {
        let target = redis_url.trim_start_matches("redis://").trim_end_matches('/').to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("redis://{}", listener.local_addr().unwrap());
        let connections = Arc::new(Mutex::new(JoinSet::new()));
        let accepted = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let target = target.clone();
                accepted.lock().unwrap().spawn(async move {
                    let Ok(mut far) = TcpStream::connect(target).await else { return };
                    let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                });
            }
        });
        Self { url, connections }
    }

    /// Breaks all connections; new ones are passed on.
    pub(crate) fn cut(&self) {
        self.connections.lock().unwrap().abort_all();
    }
}
