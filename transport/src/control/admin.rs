//! The admin listener: plain HTTP/1.1 for this host, with bounded connections, bytes and time.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use authepy_engine::stack::LeavingNothing;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::spawn_local;
use tokio::time::{sleep, timeout};

use super::api::Api;
use crate::limits::{ACCEPT_PAUSE, ADMIN_CONNECTIONS, ADMIN_DEADLINE, ADMIN_IDLE};

/// The open listener and the state of its connections. Clones share it, so that the accept task can
/// be restarted.
#[derive(Clone)]
pub(super) struct Door {
    listener: Rc<TcpListener>,
    api: Rc<Api>,
    places: Arc<Semaphore>,
}

impl Door {
    /// Binds the address; connections may queue from now on.
    pub(super) async fn open(address: SocketAddr, api: Api) -> io::Result<Self> {
        let listener = Rc::new(TcpListener::bind(address).await?);
        let places = Arc::new(Semaphore::new(ADMIN_CONNECTIONS));
        Ok(Self { listener, api: Rc::new(api), places })
    }

    /// The bound address.
    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// Accepts connections until the runtime ends.
pub(super) async fn accept(door: Door) {
    // The semaphore is never closed.
    while let Ok(place) = door.places.clone().acquire_owned().await {
        let Ok((stream, from)) = door.listener.accept().await else {
            sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let api = door.api.clone();
        // Wiping the stack matters here: new API keys are created and returned.
        spawn_local(LeavingNothing(Box::pin(async move {
            serve_connection(stream, from.ip(), api).await;
            drop(place);
        })));
    }
}

/// Serves one connection, for at most [`ADMIN_IDLE`], so that an idle one makes room for the next.
async fn serve_connection(stream: TcpStream, network: IpAddr, api: Rc<Api>) {
    let service = service_fn(|request| {
        let api = api.clone();
        async move { Ok::<_, Infallible>(api.answer(request, network).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(ADMIN_DEADLINE)
        .serve_connection(TokioIo::new(stream), service);
    // How the connection ends does not matter.
    let _ended = timeout(ADMIN_IDLE, connection).await;
}
