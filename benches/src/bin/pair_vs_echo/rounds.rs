//! Windows in turn, so that what they share of the machine's mood cancels out.
use std::time::Duration;

use authepy_benches::client::{Client, Work};
use authepy_benches::cpu;
use authepy_benches::process::{Authepy, Yardstick};

use crate::figure::{self, Round, Sample};
use crate::{Bench, hello};

/// A change in the store acts within 5 s, so a key made after the start may be unknown for that long.
const KEY_PATIENCE: Duration = Duration::from_secs(10);

/// A window of each in turn.
pub(crate) async fn pair_rounds(
    bench: &Bench,
    (echo, echo_client): (&Yardstick, &Client),
    (authepy, client): (&Authepy, &Client),
) -> Result<Vec<Round>, String> {
    warm(echo.pid(), echo_client, &[Work::Echo]).await?;
    client.admitted(KEY_PATIENCE).await?;
    warm(authepy.pid(), client, &[Work::Issue, Work::Check]).await?;
    let length = Duration::from_secs_f64(bench.window);
    let mut rounds = Vec::new();
    for index in 0..bench.rounds {
        let mut first = None;
        if index % 2 == 0 {
            first = Some(measure(echo.pid(), echo_client, Work::Echo, length).await?);
        }
        let issue = measure(authepy.pid(), client, Work::Issue, length).await?;
        // As many checks as there are ids; the time limit only guards against a hang.
        let check = measure(authepy.pid(), client, Work::Check, length * 4).await?;
        let echoed = match first {
            Some(echoed) => echoed,
            None => measure(echo.pid(), echo_client, Work::Echo, length).await?,
        };
        rounds.push(Round { echo: echoed, pair: Some((issue, check)) });
    }
    Ok(rounds)
}

/// The pair of one server in the echo's place, the pair of another beside it.
pub(crate) async fn beside_rounds(
    bench: &Bench,
    [one, other]: [(&Authepy, &Client); 2],
) -> Result<Vec<Round>, String> {
    let length = Duration::from_secs_f64(bench.window);
    let pair = async |(server, client): (&Authepy, &Client)| {
        let issue = measure(server.pid(), client, Work::Issue, length).await?;
        Ok::<_, String>((issue, measure(server.pid(), client, Work::Check, length * 4).await?))
    };
    for (server, client) in [one, other] {
        client.admitted(KEY_PATIENCE).await?;
        warm(server.pid(), client, &[Work::Issue, Work::Check]).await?;
    }
    let mut rounds = Vec::new();
    for index in 0..bench.rounds {
        let ((issue, check), beside) = match index % 2 {
            0 => (pair(one).await?, pair(other).await?),
            _ => {
                let beside = pair(other).await?;
                (pair(one).await?, beside)
            }
        };
        rounds.push(Round { echo: figure::mean(issue, check), pair: Some(beside) });
    }
    Ok(rounds)
}

/// Who asks a peer to say hello.
pub(crate) enum Greeter {
    Hyper(hello::Caller),
    H3(Client),
}

impl Greeter {
    async fn window(&self, length: Duration) -> Result<u64, String> {
        match self {
            Self::Hyper(caller) => caller.window(length).await,
            Self::H3(client) => client.window(Work::Hello, length).await,
        }
    }
}

/// A peer that says hello in the echo's place.
pub(crate) async fn hello_rounds(
    bench: &Bench,
    (peer, caller): (&Yardstick, &Greeter),
    authepy: &Authepy,
) -> Result<Vec<Round>, String> {
    let client = bench.caller(authepy, 16, 16).await?;
    client.admitted(KEY_PATIENCE).await?;
    caller.window(Duration::from_millis(500)).await?;
    warm(authepy.pid(), &client, &[Work::Issue, Work::Check]).await?;
    let length = Duration::from_secs_f64(bench.window);
    let mut rounds = Vec::new();
    for _ in 0..bench.rounds {
        let (from, before) = (cpu::now(), cpu::nanos(peer.pid())?);
        let requests = caller.window(length).await?;
        let cpu = cpu::nanos(peer.pid())?.saturating_sub(before);
        let hello = Sample { requests, cpu, wall: cpu::now().duration_since(from) };
        let issue = measure(authepy.pid(), &client, Work::Issue, length).await?;
        let check = measure(authepy.pid(), &client, Work::Check, length * 4).await?;
        rounds.push(Round { echo: hello, pair: Some((issue, check)) });
    }
    Ok(rounds)
}

/// A window of bare visits and one of sign-ins, in turn.
pub(crate) async fn sign_in_rounds(
    bench: &Bench,
    echo: &Yardstick,
    authepy: &Authepy,
) -> Result<Vec<[Sample; 2]>, String> {
    let hello = Client::connect(&echo.ready, None, 1, 1).await?;
    let phones = bench.caller(authepy, 1, 1).await?;
    phones.admitted(KEY_PATIENCE).await?;
    let (short, length) = (Duration::from_millis(300), Duration::from_secs_f64(bench.window));
    let visits = async |pid, client: &Client, length| {
        let (from, before) = (cpu::now(), cpu::nanos(pid)?);
        let requests = client.visits(length).await?;
        let cpu = cpu::nanos(pid)?.saturating_sub(before);
        Ok::<_, String>(Sample { requests, cpu, wall: cpu::now().duration_since(from) })
    };
    visits(echo.pid(), &hello, short).await?;
    visits(authepy.pid(), &phones, short).await?;
    let mut rounds = Vec::new();
    for _ in 0..bench.rounds {
        let bare = visits(echo.pid(), &hello, length).await?;
        rounds.push([bare, visits(authepy.pid(), &phones, length).await?]);
    }
    Ok(rounds)
}

pub(crate) async fn echo_rounds(
    bench: &Bench,
    echo: &Yardstick,
    client: &Client,
) -> Result<Vec<Round>, String> {
    warm(echo.pid(), client, &[Work::Echo]).await?;
    let mut rounds = Vec::new();
    for _ in 0..bench.rounds {
        let echo = measure(echo.pid(), client, Work::Echo, Duration::from_secs_f64(bench.window)).await?;
        rounds.push(Round { echo, pair: None });
    }
    Ok(rounds)
}

/// Fills caches, congestion windows and tables before anything is written down.
async fn warm(pid: u32, client: &Client, works: &[Work]) -> Result<(), String> {
    for &work in works {
        measure(pid, client, work, Duration::from_millis(500)).await?;
    }
    Ok(())
}

/// One window: no request is under way at either end of it.
async fn measure(pid: u32, client: &Client, work: Work, length: Duration) -> Result<Sample, String> {
    let (from, before) = (cpu::now(), cpu::nanos(pid)?);
    let requests = client.window(work, length).await?;
    let cpu = cpu::nanos(pid)?.saturating_sub(before);
    Ok(Sample { requests, cpu, wall: cpu::now().duration_since(from) })
}
