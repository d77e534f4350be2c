//! The measuring client: closed loop, hand-framed, one thread.
use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use authepy_engine::testing::Seeded;
use quinn::Connection;
use tokio::task::JoinSet;

use crate::process::Ready;
use crate::wire::{exchange, member, start_http3};
use crate::{cpu, frame, yardstick};

mod sign_in;

/// About what an issue request and its answer carry.
pub const ECHO: [u8; 150] = [b'x'; 150];

/// What a window's requests are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Work {
    /// 150 bytes there and back, or as many as [`Client::echoing`] said.
    Echo,
    /// A POST of 150 bytes to a peer that says hello to anything.
    Hello,
    /// A fresh inbox each.
    Issue,
    /// Of the newest id.
    Check,
    /// Of any id, by lot.
    CheckAnyone,
    /// An issue and the check of somebody: as many wait afterwards as before. Counts as two.
    Turnover,
}

impl Work {
    fn steps(self) -> &'static [Self] {
        match self {
            Self::Echo => &[Self::Echo],
            Self::Hello => &[Self::Hello],
            Self::Issue => &[Self::Issue],
            Self::Check => &[Self::Check],
            Self::CheckAnyone => &[Self::CheckAnyone],
            Self::Turnover => &[Self::Issue, Self::CheckAnyone],
        }
    }
}

/// C connections to one server, S requests at a time on each.
pub struct Client {
    // Dropping it would close the socket.
    endpoint: quinn::Endpoint,
    address: SocketAddr,
    connections: Vec<Connection>,
    streams: usize,
    supply: Rc<Supply>,
}

/// What requests are made of.
struct Supply {
    authority: String,
    key: String,
    /// Of the page that asks, where it is one.
    origin: Option<&'static str>,
    /// Sent and expected back.
    echo: Vec<u8>,
    /// Of the next recipient; every inbox is a fresh one.
    next: Cell<u64>,
    /// Issued and not yet checked: ids, each with the number of its recipient.
    ids: RefCell<Vec<(Vec<u8>, u64)>>,
    /// Who is checked next, where anybody may be.
    lot: RefCell<Seeded>,
}

impl Client {
    /// Connects; with a key the server is one that speaks HTTP/3.
    ///
    /// # Errors
    /// What went wrong, for a person.
    pub async fn connect(
        ready: &Ready,
        key: Option<&str>,
        connections: usize,
        streams: usize,
    ) -> Result<Self, String> {
        let endpoint = yardstick::client(&ready.ca, [127, 0, 0, 1])?;
        let mut open = Vec::new();
        for _ in 0..connections {
            let connecting = endpoint.connect(ready.h3, "localhost").map_err(|error| error.to_string())?;
            let connection = connecting.await.map_err(|error| format!("{}: {error}", ready.h3))?;
            if key.is_some() {
                start_http3(&connection).await.ok_or("no control stream")?;
            }
            open.push(connection);
        }
        let supply = Supply {
            authority: format!("localhost:{}", ready.h3.port()),
            key: key.unwrap_or_default().to_owned(),
            origin: None,
            echo: ECHO.to_vec(),
            // A number of its own for each client, so that no grid meets another's inboxes.
            next: Cell::new((connections * 1000 + streams) as u64 * 1_000_000_000),
            ids: RefCell::default(),
            lot: RefCell::new(Seeded::new(1)),
        };
        Ok(Self { endpoint, address: ready.h3, connections: open, streams, supply: Rc::new(supply) })
    }

    /// Echoes of so many bytes instead, from a client that has not begun yet.
    #[must_use]
    pub fn echoing(mut self, bytes: usize) -> Self {
        if let Some(supply) = Rc::get_mut(&mut self.supply) {
            supply.echo = vec![b'x'; bytes];
        }
        self
    }

    /// As a page of this origin, from a client that has not begun yet.
    #[must_use]
    pub fn from_page(mut self, origin: &'static str) -> Self {
        if let Some(supply) = Rc::get_mut(&mut self.supply) {
            supply.origin = Some(origin);
        }
        self
    }

    /// Waits until the server knows the key.
    ///
    /// # Errors
    /// It never did.
    pub async fn admitted(&self, patience: Duration) -> Result<(), String> {
        let end = cpu::now() + patience;
        loop {
            match self.window(Work::Issue, Duration::from_millis(1)).await {
                Err(problem) if problem.contains("status 401") && cpu::now() < end => {
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
                outcome => return outcome.map(drop),
            }
        }
    }

    /// Issues until so many wait.
    ///
    /// # Errors
    /// As of [`Client::window`].
    pub async fn fill(&self, many: usize) -> Result<(), String> {
        while self.supply.ids.borrow().len() < many {
            self.work(Work::Issue, Duration::from_millis(100)).await?;
        }
        self.supply.ids.borrow_mut().truncate(many);
        Ok(())
    }

    /// Works for `length`, or until nothing is left to check; returns the requests answered rightly. Nothing is
    /// under way when it returns. Whoever an earlier window of issues left unchecked is forgotten by the next.
    ///
    /// # Errors
    /// The first request that was not.
    pub async fn window(&self, work: Work, length: Duration) -> Result<u64, String> {
        if work == Work::Issue {
            self.supply.ids.borrow_mut().clear();
        }
        self.work(work, length).await
    }

    async fn work(&self, work: Work, length: Duration) -> Result<u64, String> {
        let end = cpu::now() + length;
        let mut workers = JoinSet::new();
        for connection in &self.connections {
            for _ in 0..self.streams {
                workers.spawn_local(labour(connection.clone(), self.supply.clone(), work, end));
            }
        }
        let mut sum = 0;
        while let Some(done) = workers.join_next().await {
            sum += done.map_err(|error| error.to_string())??;
        }
        if sum == 0 { Err(format!("{work:?}: nothing was answered")) } else { Ok(sum) }
    }
}

/// At least once, however short the window is: a machine that stands still for a moment must not empty it.
async fn labour(connection: Connection, supply: Rc<Supply>, work: Work, end: Instant) -> Result<u64, String> {
    let mut done = 0;
    loop {
        for &step in work.steps() {
            let Some((request, recipient)) = supply.request(step) else { return Ok(done) };
            let answer =
                exchange(&connection, &request).await.map_err(|error| format!("{step:?}: {error}"))?;
            supply.judge(step, recipient, &answer)?;
            done += 1;
        }
        if cpu::now() >= end {
            return Ok(done);
        }
    }
}

impl Supply {
    /// The next request's bytes and the number of its recipient; `None` when every id has been checked.
    fn request(&self, work: Work) -> Option<(Vec<u8>, u64)> {
        let post = |path: &[&[u8]], body: &[&[u8]]| {
            frame::post_from(self.origin, &self.authority, path, &self.key, body)
        };
        match work {
            Work::Echo => Some((self.echo.clone(), 0)),
            Work::Turnover => None,
            Work::Hello => Some((post(&[b"/v1/hello"], &[&ECHO]), 0)),
            Work::Issue => {
                let number = self.next.replace(self.next.get() + 1);
                let recipient = recipient(number);
                let body: [&[u8]; 3] =
                    [br#"{"recipient":""#, recipient.as_bytes(), br#"","purpose":"login"}"#];
                Some((post(&[b"/v1/verifications"], &body), number))
            }
            Work::Check | Work::CheckAnyone => {
                let (id, number) = self.draw(work)?;
                let recipient = recipient(number);
                let body: [&[u8]; 3] =
                    [br#"{"code":"000000","recipient":""#, recipient.as_bytes(), br#"","receipt":true}"#];
                Some((post(&[b"/v1/verifications/", &id, b"/check"], &body), number))
            }
        }
    }

    fn draw(&self, work: Work) -> Option<(Vec<u8>, u64)> {
        let mut ids = self.ids.borrow_mut();
        if work == Work::Check || ids.is_empty() {
            return ids.pop();
        }
        let at = self.lot.borrow_mut().below(ids.len() as u64) as usize;
        Some(ids.swap_remove(at))
    }

    /// Errors never count as work.
    fn judge(&self, work: Work, recipient: u64, answer: &[u8]) -> Result<(), String> {
        let must = match work {
            Work::Echo if answer.len() == self.echo.len() => return Ok(()),
            Work::Echo => return Err(format!("echo of {} bytes", answer.len())),
            Work::Issue => 202,
            Work::Hello | Work::Check | Work::CheckAnyone => 200,
            Work::Turnover => return Err("judged step by step".into()),
        };
        let (status, body) = frame::answer(answer).ok_or_else(|| format!("{work:?}: not an answer"))?;
        let shown = || String::from_utf8_lossy(body).into_owned();
        match work {
            _ if status != must => Err(format!("{work:?}: status {status} for {must}: {}", shown())),
            Work::Issue => {
                let id = member(body, br#""id":""#).ok_or_else(|| format!("no id: {}", shown()))?;
                self.ids.borrow_mut().push((id.to_vec(), recipient));
                Ok(())
            }
            Work::Hello if body.len() == ECHO.len() => Ok(()),
            // 200 is also the status of a wrong code.
            _ if member(body, br#""status":""#) != Some(b"approved") => {
                Err(format!("not approved: {}", shown()))
            }
            _ => Ok(()),
        }
    }
}

/// The address with this number.
fn recipient(number: u64) -> String {
    format!("bench{number:015}@example.com")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// HEADERS with `:status` spelled out, then DATA.
    fn answer(status: &str, body: &str) -> Vec<u8> {
        let mut bytes = vec![1, 8, 0, 0, 0x5f, 9, 3];
        bytes.extend_from_slice(status.as_bytes());
        bytes.extend_from_slice(&[0, u8::try_from(body.len()).unwrap()]);
        bytes.extend_from_slice(body.as_bytes());
        bytes
    }

    #[test]
    fn only_right_answers_count_as_work() {
        let (key, ids, lot) = (String::new(), RefCell::default(), RefCell::new(Seeded::new(1)));
        let (authority, echo, next) = (String::new(), ECHO.to_vec(), Cell::new(0));
        let supply = Supply { authority, key, origin: None, echo, next, ids, lot };
        assert_eq!(supply.judge(Work::Issue, 7, &answer("202", r#"{"id":"vrf_1"}"#)), Ok(()));
        assert_eq!(*supply.ids.borrow(), [(b"vrf_1".to_vec(), 7)]);
        assert_eq!(supply.judge(Work::Check, 7, &answer("200", r#"{"id":"v","status":"approved"}"#)), Ok(()));
        for (work, wrong) in [
            (Work::Issue, answer("429", r#"{"id":"vrf_1"}"#)),
            (Work::Issue, answer("202", "{}")),
            (Work::Check, answer("200", r#"{"id":"v","status":"pending"}"#)),
            (Work::Check, answer("404", r#"{"status":"approved"}"#)),
            (Work::Check, Vec::new()),
            (Work::Echo, vec![b'x'; 149]),
        ] {
            assert!(supply.judge(work, 7, &wrong).is_err(), "{work:?} {wrong:?}");
        }
    }
}
