//! The callers: phones that are connected already, and ask whether they are answered or not.
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use authepy_benches::process::{Authepy, PAGE};
use authepy_benches::wire::{ANSWER_MAX, start_http3};
use authepy_benches::{cpu, frame, yardstick};
use authepy_engine::testing::Seeded;
use quinn::{Connection, Endpoint, RecvStream, SendStream, VarInt};
use tokio::sync::Mutex;
use tokio::time::{sleep, sleep_until, timeout_at};

use crate::tally::{End, Tally};

/// How long somebody waits before he gives up, from when he meant to ask.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);
/// Phones on one address; the server lets 200 of one peer in.
const PHONES_PER_ADDRESS: usize = 100;
/// H3_REQUEST_CANCELLED.
const REQUEST_CANCELLED: VarInt = VarInt::from_u32(0x10c);
/// Requests started before answers are looked at again.
const BURST: usize = 32;

struct Phone {
    /// Its own socket: who shares an address shares no port.
    endpoint: Endpoint,
    link: Mutex<Option<Connection>>,
}

/// All of them.
pub(crate) struct Phones {
    all: Vec<Rc<Phone>>,
    server: std::net::SocketAddr,
    /// Of the server's process.
    pid: u32,
    authority: String,
    key: String,
    /// Of the next recipient; every inbox is a fresh one.
    next: Cell<u64>,
    lot: RefCell<Seeded>,
}

impl Phones {
    /// Connects `count`.
    pub(crate) async fn connect(server: &Authepy, count: usize) -> Result<Rc<Self>, String> {
        let ready = &server.ready;
        let phone = |at: usize| {
            let on = at / PHONES_PER_ADDRESS;
            let endpoint =
                yardstick::client(&ready.ca, [127, 0, 2 + (on / 250) as u8, 1 + (on % 250) as u8])?;
            Ok::<_, String>(Rc::new(Phone { endpoint, link: Mutex::new(None) }))
        };
        let all = (0..count).map(phone).collect::<Result<Vec<_>, _>>()?;
        for phone in &all {
            phone.connection(ready.h3).await.ok_or("a phone could not connect")?;
        }
        Ok(Rc::new(Self {
            all,
            server: ready.h3,
            pid: server.pid(),
            authority: format!("localhost:{}", ready.h3.port()),
            key: ready.restricted_test_key.clone(),
            next: Cell::new(0),
            lot: RefCell::new(Seeded::new(5)),
        }))
    }

    /// So many requests under way at any time, for `length`: what the server can do.
    pub(crate) async fn closed_loop(self: &Rc<Self>, streams: usize, length: Duration) -> Rc<RefCell<Tally>> {
        let (tally, before) = (Tally::begin(0.0, length), cpu::nanos(self.pid).unwrap_or_default());
        let end = cpu::now() + length;
        let workers: Vec<_> = (0..streams)
            .map(|_| {
                let (phones, tally) = (self.clone(), tally.clone());
                tokio::task::spawn_local(async move {
                    while cpu::now() < end {
                        phones.clone().ask(cpu::now(), tally.clone()).await;
                    }
                })
            })
            .collect();
        for worker in workers {
            let _ended = worker.await;
        }
        tally.borrow_mut().spent(cpu::nanos(self.pid).unwrap_or_default().saturating_sub(before));
        tally
    }

    /// `rate` requests a second for `length`, at moments drawn beforehand; none waits for any answer. Returns
    /// when the last has started.
    pub(crate) async fn open_loop(self: &Rc<Self>, rate: f64, length: Duration) -> Rc<RefCell<Tally>> {
        let (tally, before) = (Tally::begin(rate, length), cpu::nanos(self.pid).unwrap_or_default());
        let end = cpu::now() + length;
        let mut at = cpu::now();
        let mut burst = 0;
        loop {
            at += self.gap(rate);
            if at >= end {
                tally.borrow_mut().spent(cpu::nanos(self.pid).unwrap_or_default().saturating_sub(before));
                return tally;
            }
            if at > cpu::now() {
                sleep_until(at.into()).await;
                burst = 0;
            }
            burst += 1;
            if burst % BURST == 0 {
                // Late: answers are heard all the same.
                tokio::task::yield_now().await;
            }
            tokio::task::spawn_local(self.clone().ask(at, tally.clone()));
        }
    }

    /// Waits until everybody has been answered or has given up.
    pub(crate) async fn settled(tally: &RefCell<Tally>) {
        while tally.borrow().is_under_way() {
            sleep(Duration::from_millis(10)).await;
        }
    }

    async fn ask(self: Rc<Self>, meant: Instant, tally: Rc<RefCell<Tally>>) {
        tally.borrow_mut().start(meant);
        let phone = self.all[self.lot.borrow_mut().below(self.all.len() as u64) as usize].clone();
        let request = self.request();
        let asking = async {
            let connection = phone.connection(self.server).await?;
            let (send, recv) = connection.open_bi().await.ok()?;
            let mut stream = Cancelled { send, recv };
            stream.send.write_all(&request).await.ok()?;
            stream.send.finish().ok()?;
            stream.recv.read_to_end(ANSWER_MAX).await.ok()
        };
        let end = match timeout_at((meant + PATIENCE).into(), asking).await {
            Err(_) => End::GivenUp,
            Ok(None) => End::Lost,
            Ok(Some(answer)) => match frame::answer(&answer) {
                Some((202, _)) => End::Accepted,
                Some((503, _)) => End::Refused,
                Some((status, _)) => End::Wrong(status),
                None => End::Wrong(0),
            },
        };
        tally.borrow_mut().end(meant, end);
    }

    fn request(&self) -> Vec<u8> {
        let recipient = format!("bench{:015}@example.com", self.next.replace(self.next.get() + 1));
        let body: [&[u8]; 3] = [br#"{"recipient":""#, recipient.as_bytes(), br#"","purpose":"login"}"#];
        frame::post_from(Some(PAGE), &self.authority, &[b"/v1/verifications"], &self.key, &body)
    }

    /// Until the next of a Poisson process.
    fn gap(&self, rate: f64) -> Duration {
        let unit = (self.lot.borrow_mut().draw() >> 11) as f64 / (1u64 << 53) as f64;
        Duration::from_secs_f64(-(1.0 - unit).ln() / rate)
    }
}

/// A stream that tells the server, when it is dropped before its answer, that nobody waits any more (RFC 9114,
/// 4.1.1).
struct Cancelled {
    send: SendStream,
    recv: RecvStream,
}

impl Drop for Cancelled {
    fn drop(&mut self) {
        // Errors mean that the stream has ended by itself.
        let _ended = self.send.reset(REQUEST_CANCELLED);
        let _ended = self.recv.stop(REQUEST_CANCELLED);
    }
}

impl Phone {
    /// The connection, a new one if it has gone.
    async fn connection(&self, server: std::net::SocketAddr) -> Option<Connection> {
        let mut link = self.link.lock().await;
        if let Some(open) = link.as_ref().filter(|open| open.close_reason().is_none()) {
            return Some(open.clone());
        }
        let open = self.endpoint.connect(server, "localhost").ok()?.await.ok()?;
        start_http3(&open).await?;
        *link = Some(open.clone());
        Some(open)
    }
}
