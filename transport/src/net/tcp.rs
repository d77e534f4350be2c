//! The TCP door: HTTP/2 and HTTP/1.1 over TLS, in front of the same [`serve`](crate::serve::serve).
//!
//! ```text
//!   accept ─▶ TLS, ALPN ─▶ serving ─┬─ idle, drain ─▶ GOAWAY or `connection: close` ─▶ closed
//!      │          │                 ├─ flood, stall, ban, room needed ─▶ closed
//!      │          │                 └─ ambiguous message ─▶ 400 ─▶ closed
//!      │          └ deadline, not welcome, room needed ─▶ closed
//!      └ banned, no place, too many begun ─▶ closed
//! ```
//!
//! For browsers that have yet to read `Alt-Svc`, and for networks that block UDP. hyper reads the wire;
//! the head it read is held to the same rules as an HTTP/3 head, and the bounds are the same numbers.
//! What hyper does not bound, [`watch`], [`frames`] and [`lines`] do.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use authepy_engine::stack::LeavingNothing;
use authepy_http3::limits::{MAX_FIELD_SECTION_BYTES, MAX_FIELDS};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::ground::log_throttle::LogThrottle;
use crate::http::reply::Problem;
use crate::limits;
use crate::metrics::Protocol;
use crate::net::accept::{Admission, ConnectionSlot, Listing, Newcomer, WayOut};
use crate::serve::lane_context::LaneContext;
use crate::serve::refuse_at_once;

mod answer;
mod exchange;
mod frames;
mod lines;
mod stream;
mod upload;
mod watch;

use answer::Aborted;
use frames::Frames;
use lines::Lines;
use stream::{Lent, Pulse, Seen};
use watch::{Overdue, Watch};

/// Runs connections on this thread.
#[derive(Clone)]
struct OnThisLane;

impl<F: Future + 'static> hyper::rt::Executor<F> for OnThisLane {
    fn execute(&self, task: F) {
        tokio::task::spawn_local(async move {
            task.await;
        });
    }
}

/// Accepts connections until the drain begins.
pub(crate) async fn accept(
    listener: TcpListener,
    port: u16,
    tls: Arc<rustls::ServerConfig>,
    context: LaneContext,
    admission: Admission,
) {
    let acceptor = TlsAcceptor::from(tls);
    let alt_svc: Rc<str> = format!("h3=\":{port}\"; ma=86400").into();
    let mut refusals = LogThrottle::default();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = context.drain().begun() => return,
        };
        match accepted {
            Ok((stream, from)) => {
                let peer = from.ip().to_canonical();
                // Banned, or no place: closed before TLS costs anything.
                let Some(newcomer) = admission.enter(&context, peer).await else { continue };
                let Newcomer { place, listing, way_out } = newcomer;
                let watch = Watch::new(admission.idle(), admission.deadline());
                let (context, admission, alt_svc) = (context.clone(), admission.clone(), alt_svc.clone());
                let door = Rc::new(Door { context, admission, peer, alt_svc, watch, listing, way_out });
                tokio::task::spawn_local(door.drive(stream, acceptor.clone(), place));
            }
            // Out of descriptors, most likely: give the others a moment to close.
            Err(fault) => {
                if let Some(times) = refusals.tell(context.now().at) {
                    let (why, code) = (fault.kind(), fault.raw_os_error());
                    tracing::warn!(%why, code, times, "no TCP connection can be accepted");
                }
                tokio::time::sleep(limits::ACCEPT_PAUSE).await;
            }
        }
    }
}

/// One connection's way in.
struct Door {
    context: LaneContext,
    admission: Admission,
    peer: IpAddr,
    alt_svc: Rc<str>,
    watch: Rc<Watch>,
    listing: Listing,
    way_out: Rc<WayOut>,
}

/// How hyper's part of a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// With its last byte, or by a fault that hyper or we saw.
    Over,
    /// By nothing happening.
    Stalled,
}

impl Door {
    /// Sees one connection through.
    async fn drive(self: Rc<Self>, stream: TcpStream, acceptor: TlsAcceptor, mut place: ConnectionSlot) {
        // An error only costs some latency.
        let _delayed = stream.set_nodelay(true);
        let patience = limits::HANDSHAKE_DEADLINE.min(self.admission.deadline());
        let handshake = acceptor.accept(Pulse::new(stream, self.watch.clone()));
        let _open = self.context.drain().guard();
        if !self.admission.begin(&self.context, self.peer).await {
            return;
        }
        let shaken = tokio::select! {
            shaken = timeout(patience, handshake) => shaken,
            () = self.context.drain().begun_since(limits::DRAIN_HANDSHAKE) => return,
            () = self.way_out.at_once.notified() => return,
        };
        let Ok(Ok(stream)) = shaken else { return };
        let way_out = self.way_out.clone();
        let show_out = Rc::new(move || way_out.at_once.notify_one());
        let welcome = self.admission.welcome(&self.context, &mut place, self.peer, show_out).await;
        let Some(_listed) = welcome else { return };
        self.context.counters().connected(Protocol::Tcp);
        tokio::select! {
            () = self.clone().serve(stream) => {}
            // Dropped where it stands; requests that were read run to their end.
            () = self.way_out.at_once.notified() => {}
        }
        self.context.counters().disconnected();
    }

    /// Serves requests and says goodbye.
    async fn serve(self: Rc<Self>, stream: TlsStream<Pulse>) {
        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        let seen = match is_http2 {
            true => Seen::Http2(Frames::new(self.admission.resets())),
            false => Seen::Http1(Lines::default()),
        };
        let stream = Lent::new(stream, seen, self.watch.clone());
        if self.clone().converse(stream.clone(), is_http2).await == End::Over {
            let last_words = if stream.owes_refusal() { self.last_words() } else { Vec::new() };
            // However it goes, the connection ends here.
            let _closed = timeout(limits::TCP_FAREWELL, stream.close(&last_words)).await;
        }
    }

    /// Lets hyper serve requests until the connection ends or should.
    async fn converse(self: Rc<Self>, stream: Lent, is_http2: bool) -> End {
        let builder = builder(is_http2);
        let service = service_fn(|request| {
            let answer = tokio::task::spawn_local(LeavingNothing(Box::pin(self.clone().answer(request))));
            async { answer.await.unwrap_or(Err(Aborted)) }
        });
        let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
        tokio::select! {
            ended = connection.as_mut() => {
                self.note_unread(ended.err());
                return End::Over;
            }
            overdue = self.watch.overdue() => if overdue == Overdue::Stalled {
                return End::Stalled;
            },
            () = self.way_out.politely.notified() => {}
            () = self.context.drain().begun() => {}
        }
        connection.as_mut().graceful_shutdown();
        let wind_down = async {
            while timeout(limits::TCP_FAREWELL, connection.as_mut()).await.is_err() {
                if self.watch.is_quiet() {
                    return End::Stalled;
                }
            }
            End::Over
        };
        timeout(limits::DRAIN_REQUESTS, wind_down).await.unwrap_or(End::Stalled)
    }
}

impl Door {
    /// Counts a request that hyper refused by itself: it could not read the head, and has answered 400 or 431.
    fn note_unread(&self, ended: Option<Box<dyn std::error::Error + Send + Sync>>) {
        let Some(fault) = ended.and_then(|fault| fault.downcast::<hyper::Error>().ok()) else { return };
        if fault.is_parse() {
            let is_large = fault.is_parse_too_large();
            let problem = if is_large { Problem::HeadersTooLarge } else { Problem::MalformedHttp };
            let _answered_by_hyper = refuse_at_once(&self.context, self.peer, problem);
        }
    }
}

/// hyper with our bounds. The version is ALPN's word alone: a preface is not looked for.
fn builder(is_http2: bool) -> auto::Builder<OnThisLane> {
    let builder = auto::Builder::new(OnThisLane);
    let mut builder = if is_http2 { builder.http2_only() } else { builder.http1_only() };
    builder
        .http1()
        .timer(TokioTimer::new())
        // The watch's business: hyper's clock would run on idle connections too.
        .header_read_timeout(None::<Duration>)
        .max_buf_size(2 * MAX_FIELD_SECTION_BYTES)
        .max_headers(MAX_FIELDS);
    builder
        .http2()
        .max_concurrent_streams(limits::REQUEST_STREAMS_PER_CONNECTION)
        // Twice our own bound, so that we answer what is somewhat too large; h2 answers the rest.
        .max_header_list_size(2 * MAX_FIELD_SECTION_BYTES as u32)
        .max_pending_accept_reset_streams(limits::H2_PENDING_RESETS)
        .max_local_error_reset_streams(limits::H2_OWN_RESETS)
        .initial_stream_window_size(limits::STREAM_WINDOW_BYTES)
        .initial_connection_window_size(limits::CONNECTION_WINDOW_BYTES)
        .max_send_buf_size(limits::SEND_WINDOW_BYTES as usize);
    builder
}
