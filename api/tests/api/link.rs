//! A TCP link to Redis that can be cut or held.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedRwLockWriteGuard, RwLock};
use tokio::task::JoinSet;

/// Passes connections on until it is cut.
pub(crate) struct Link {
    pub(crate) url: String,
    connections: Arc<Mutex<JoinSet<()>>>,
    /// Held in common by each answer that passes.
    answers: Arc<RwLock<()>>,
}

impl Link {
    pub(crate) async fn to(redis_url: &str) -> Self {
        let target = redis_url.trim_start_matches("redis://").trim_end_matches('/').to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("redis://{}", listener.local_addr().unwrap());
        let connections = Arc::new(Mutex::new(JoinSet::new()));
        let accepted = Arc::clone(&connections);
        let answers = Arc::new(RwLock::new(()));
        let gate = Arc::clone(&answers);
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let (target, gate) = (target.clone(), Arc::clone(&gate));
                accepted.lock().unwrap().spawn(async move {
                    let Ok(mut far) = TcpStream::connect(target).await else { return };
                    let ((mut questions, mut back), (mut there, mut to)) = (near.split(), far.split());
                    tokio::select! {
                        _ = tokio::io::copy(&mut questions, &mut to) => {}
                        () = pass(&mut there, &mut back, &gate) => {}
                    }
                });
            }
        });
        Self { url, connections, answers }
    }

    /// Breaks all connections; new ones are passed on.
    pub(crate) fn cut(&self) {
        self.connections.lock().unwrap().abort_all();
    }

    /// Lets no answer pass until what it returns is dropped.
    pub(crate) async fn hold(&self) -> OwnedRwLockWriteGuard<()> {
        Arc::clone(&self.answers).write_owned().await
    }
}

async fn pass(from: &mut (impl AsyncRead + Unpin), to: &mut (impl AsyncWrite + Unpin), gate: &RwLock<()>) {
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let _open = gate.read().await;
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
