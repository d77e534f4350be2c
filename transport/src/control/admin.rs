//! The admin listener: plain HTTP/1.1 for this host, bounded in connections, bytes and time.

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

/// The open listener, with what its connections share. Cloning gives the same one: whoever accepts may begin anew.
#[derive(Clone)]
pub(super) struct Door {
    listener: Rc<TcpListener>,
    api: Rc<Api>,
    places: Arc<Semaphore>,
}

impl Door {
    /// Listens; from here on connections wait to be accepted.
    pub(super) async fn open(address: SocketAddr, api: Api) -> io::Result<Self> {
        let listener = Rc::new(TcpListener::bind(address).await?);
        let places = Arc::new(Semaphore::new(ADMIN_CONNECTIONS));
        Ok(Self { listener, api: Rc::new(api), places })
    }

    /// Where it listens.
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
        // Keys are made and shown here.
        spawn_local(LeavingNothing(Box::pin(async move {
            converse(stream, from.ip(), api).await;
            drop(place);
        })));
    }
}

/// One connection, for as long as it is used: one that says nothing makes room for the next.
async fn converse(stream: TcpStream, network: IpAddr, api: Rc<Api>) {
    let service = service_fn(|request| {
        let api = api.clone();
        async move { Ok::<_, Infallible>(api.answer(request, network).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(ADMIN_DEADLINE)
        .serve_connection(TokioIo::new(stream), service);
    // How an operator's connection ends does not matter.
    let _ended = timeout(ADMIN_IDLE, connection).await;
}
