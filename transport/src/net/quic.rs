//! One HTTP/3 connection: its streams, its budgets, its end.
//!
//! ```text
//!   handshake ──▶ serving ──▶ draining (GOAWAY sent, later streams refused) ──▶ closed
//!       │            │                                                            ▲
//!       │            ├── no request accepted in time ──▶ draining                 │
//!       │            └── connection error · reset budget used up ─────────────────┤
//!       └── refused after the handshake · ban · room needed ──────────────────────┘
//! ```
//!
//! A connection is one task, and each stream that has to wait is another, all on the lane's thread;
//! they share plain cells. A request whose head was read runs to its end even if the client is
//! gone: whether its mail is sent must not depend on that.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;

use authepy_engine::identity::Mode;
use authepy_engine::perimeter::KeyRecord;
use authepy_engine::perimeter::api_key::KeyClass;
use authepy_engine::stack::{LeavingNothing, wipe_stack};
use authepy_http3::control;
use authepy_http3::error::{Code, Fault};
use authepy_http3::uni::{PeerStreams, UniReader, Verdict};
use futures_util::FutureExt;
use quinn::{Connection, Incoming, RecvStream, SendStream, VarInt};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::limits;
use crate::metrics::Protocol;
use crate::net::accept::{Admission, Listing, Newcomer, ShowOut, WayOut, counted};
use crate::overload::shedding::Known;
use crate::serve::lane_context::LaneContext;

mod answer;
pub(crate) mod exchange;
mod stream_queue;
use stream_queue::{Stream, StreamQueue};

/// What the tasks of one connection share.
pub(crate) struct Session {
    connection: Connection,
    pub(crate) context: LaneContext,
    pub(crate) admission: Admission,
    /// The address that the handshake validated, for the whole life of the connection. A later one
    /// may be forged, and a peer that migrates keeps its strikes.
    pub(crate) peer: IpAddr,
    peer_streams: RefCell<PeerStreams>,
    /// Requests that ended without a complete answer.
    resets: Cell<u32>,
    /// Requests in progress.
    running: Cell<usize>,
    finished: Notify,
    /// Class and mode of the last admitted key.
    key: Cell<(KeyClass, Mode)>,
    /// The connection's registration for load shedding, once it was answered; see
    /// [`crate::overload::shedding`].
    known: RefCell<Option<Known>>,
    listing: Listing,
    way_out: Rc<WayOut>,
}

/// Runs one connection from its first packet to its last.
pub(crate) async fn drive(
    incoming: Incoming,
    context: LaneContext,
    admission: Admission,
    newcomer: Newcomer,
) {
    let Newcomer { mut place, listing, way_out } = newcomer;
    // quinn accepts packets from no other address until the handshake is complete, so this is the
    // address that it validates. The connection may migrate before we learn of that, perhaps to a
    // forged address.
    let peer = incoming.remote_address().ip().to_canonical();
    let Ok(connecting) = incoming.accept() else { return };
    // From here on the drain waits for this connection: a stop during a handshake owes the client a
    // GOAWAY.
    let _open = context.drain().guard();
    let shaken = tokio::select! {
        shaken = timeout(limits::HANDSHAKE_DEADLINE, connecting) => shaken,
        () = context.drain().begun_since(limits::DRAIN_HANDSHAKE) => return,
        () = way_out.at_once.notified() => return,
    };
    let Ok(Ok(connection)) = shaken else { return };
    let closing = connection.clone();
    let show_out: ShowOut = Rc::new(move || closing.close(number(Code::ExcessiveLoad), b""));
    let Some(_listed) = admission.welcome(&context, &mut place, peer, show_out.clone()).await else {
        return show_out();
    };
    context.counters().connected(Protocol::Quic);
    let session = Rc::new(Session {
        peer,
        connection,
        context,
        admission,
        peer_streams: RefCell::default(),
        resets: Cell::new(0),
        running: Cell::new(0),
        finished: Notify::new(),
        key: Cell::new((KeyClass::Restricted, Mode::Live)),
        known: RefCell::default(),
        listing,
        way_out,
    });
    session.clone().serve().await;
    session.context.counters().disconnected();
}

impl Session {
    async fn serve(self: Rc<Self>) {
        let Ok(mut control) = self.connection.open_uni().await else { return };
        if control.write_all(&control::opening()).await.is_err() {
            return;
        }
        // The id of the first request not yet seen, for a GOAWAY.
        let mut next_request = 0;
        let mut stream_queue = StreamQueue::new(&self);
        loop {
            tokio::select! {
                accepted = self.connection.accept_bi() => {
                    // A datagram brings several, and most may begin at once.
                    let mut more = Some(accepted);
                    while let Some(accepted) = more {
                        let Ok(stream) = accepted else { return };
                        next_request = u64::from(VarInt::from(stream.0.id())) + 4;
                        stream_queue.enter(stream);
                        more = self.connection.accept_bi().now_or_never();
                    }
                    while let Some(stream) = stream_queue.next().now_or_never() {
                        self.begin(stream);
                    }
                    wipe_stack();
                }
                stream = stream_queue.next() => {
                    self.begin(stream);
                    wipe_stack();
                }
                accepted = self.connection.accept_uni() => {
                    let Ok(recv) = accepted else { return };
                    tokio::task::spawn_local(self.clone().unidirectional(recv));
                }
                () = self.way_out.at_once.notified() => return self.close(Code::ExcessiveLoad),
                () = self.end_politely() => {
                    // These were seen, so the GOAWAY will not cover them.
                    stream_queue.empty().into_iter().for_each(|stream| self.begin(stream));
                    break;
                }
            }
        }
        drop(stream_queue);
        self.drain(control, next_request).await;
    }

    /// Waits until the connection should end after the requests in progress.
    async fn end_politely(&self) {
        tokio::select! {
            () = self.context.drain().begun() => {}
            () = self.way_out.politely.notified() => {}
        }
    }

    /// Begins one request. The caller wipes the stack after the last of those it can begin.
    #[inline(never)]
    fn begin(self: &Rc<Self>, (send, recv): Stream) {
        // Counted from here on, not from its first poll: a drain may begin in between, and its
        // GOAWAY does not cover this request.
        let running = Running::begin(self);
        // Boxed, because the runtime moves a future several times, and this one has 2 KiB.
        let mut request = Box::pin(self.clone().request(running, send, recv));
        // Most requests arrive complete and are decided by this lane's own shard, so they finish
        // before they need a task. One that has to wait is polled again by its task, which
        // registers the right waker.
        if request.as_mut().now_or_never().is_none() {
            tokio::task::spawn_local(LeavingNothing(request));
        }
    }

    /// Refuses a request that the lane has no time for.
    fn turn_away(self: &Rc<Self>, (send, recv): Stream) {
        let (session, running) = (self.clone(), Running::begin(self));
        tokio::task::spawn_local(Box::pin(async move {
            let _running = running;
            answer::turn_away(&session, recv, send).await
        }));
    }

    /// Sends a GOAWAY with the first request that will not be served, refuses from there on, lets
    /// the others finish.
    async fn drain(self: Rc<Self>, mut control: SendStream, next_request: u64) {
        let _peer_gone = control.write_all(&control::goaway(next_request)).await;
        let refuse = async {
            while let Ok((mut send, mut recv)) = self.connection.accept_bi().await {
                let _gone = send.reset(number(Code::RequestRejected));
                let _gone = recv.stop(number(Code::RequestRejected));
            }
        };
        let finish = async {
            while self.running.get() > 0 {
                self.finished.notified().await;
            }
            // A close would discard unacknowledged parts of an answer, and the client would ask
            // again.
            tokio::time::sleep(limits::DRAIN_LINGER.max(4 * self.connection.rtt())).await;
        };
        tokio::select! {
            () = refuse => {}
            () = finish => {}
            () = tokio::time::sleep(limits::DRAIN_REQUESTS) => {}
        }
        self.close(Code::NoError);
    }

    async fn request(self: Rc<Self>, _running: Running, send: SendStream, recv: RecvStream) {
        let complete = answer::answer(&self, recv, send).await;
        self.make_known();
        if complete {
            self.peer_streams.borrow_mut().request_completed();
        } else {
            self.count_reset();
        }
    }

    /// Reads one of the peer's unidirectional streams to its end.
    async fn unidirectional(self: Rc<Self>, mut recv: RecvStream) {
        let mut reader = UniReader::default();
        let result = loop {
            match recv.read_chunk(limits::READ_CHUNK_BYTES, true).await {
                Ok(Some(chunk)) => match reader.push(&chunk.bytes, &mut self.peer_streams.borrow_mut()) {
                    Ok(Verdict::Continue) => {}
                    Ok(Verdict::Refuse) => {
                        let _gone = recv.stop(number(Code::StreamCreationError));
                        break Ok(());
                    }
                    Err(fault) => break Err(fault),
                },
                Err(quinn::ReadError::ConnectionLost(_)) => break Ok(()),
                Ok(None) | Err(_) => break reader.closed(&mut self.peer_streams.borrow_mut()),
            }
        };
        if let Err(Fault::Connection(code)) = result {
            self.close(code);
        }
    }

    /// A reset request costs us as much as a complete one and its sender nothing, so resets are
    /// limited.
    fn count_reset(&self) {
        self.resets.set(self.resets.get() + 1);
        if self.resets.get() > self.admission.resets() {
            self.close(Code::ExcessiveLoad);
        }
    }

    /// A request was accepted. Notes the class of its key; see
    /// [`crate::overload::admission_queue`].
    pub(crate) fn admitted(&self, key: &KeyRecord) {
        self.listing.served();
        self.key.set((key.class, key.mode));
    }

    /// Whether the connection has shown no secret key.
    fn is_stranger(&self) -> bool {
        self.key.get().0 == KeyClass::Restricted
    }

    /// Registers the connection for load shedding with its present address and key class.
    fn make_known(&self) {
        let (class, _) = self.key.get();
        let address = self.connection.remote_address();
        let mut known = self.known.borrow_mut();
        if known.as_ref().is_some_and(|known| known.is(address, class)) {
            return;
        }
        *known = None;
        // A trusted proxy carries many peers, so it is never shed.
        if counted(&self.context, address.ip().to_canonical()).is_some() {
            *known = Some(self.context.shedding().know(address, class));
        }
    }

    /// Whether the lane reads its datagrams at present, or has time for its requests anyway. True
    /// for a connection that is not registered.
    fn is_served(&self) -> bool {
        self.known.borrow().as_ref().is_none_or(Known::is_served)
    }

    pub(crate) fn close(&self, code: Code) {
        self.connection.close(number(code), b"");
    }
}

/// A request in progress: from its acceptance until it ends in any way.
struct Running(Rc<Session>);

impl Running {
    fn begin(session: &Rc<Session>) -> Self {
        session.running.set(session.running.get() + 1);
        Self(session.clone())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.set(self.0.running.get() - 1);
        if self.0.running.get() == 0 {
            self.0.finished.notify_one();
        }
    }
}

/// An error code as QUIC carries it.
pub(crate) fn number(code: Code) -> VarInt {
    // All codes are below 2^62.
    VarInt::from_u64(code.number()).unwrap_or(VarInt::MAX)
}
