//! The admin listener: plain HTTP/1.1 for this host, bounded in connections, bytes and time.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
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

/// Starts the listener on this runtime; returns where it listens.
pub(super) async fn start(address: SocketAddr, api: Api) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(address).await?;
    let bound = listener.local_addr()?;
    spawn_local(accept(listener, Rc::new(api)));
    Ok(bound)
}

async fn accept(listener: TcpListener, api: Rc<Api>) {
    let places = Arc::new(Semaphore::new(ADMIN_CONNECTIONS));
    // The semaphore is never closed.
    while let Ok(place) = places.clone().acquire_owned().await {
        let Ok((stream, _)) = listener.accept().await else {
            sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let api = api.clone();
        // Keys are made and shown here.
        spawn_local(LeavingNothing(Box::pin(async move {
            converse(stream, api).await;
            drop(place);
        })));
    }
}

/// One connection, for as long as it is used: one that says nothing makes room for the next.
async fn converse(stream: TcpStream, api: Rc<Api>) {
    let service = service_fn(|request| {
        let api = api.clone();
        async move { Ok::<_, Infallible>(api.answer(request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(ADMIN_DEADLINE)
        .serve_connection(TokioIo::new(stream), service);
    // How an operator's connection ends does not matter.
    let _ended = timeout(ADMIN_IDLE, connection).await;
}
