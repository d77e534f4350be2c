//! Datagrams that are no QUIC, or QUIC gone wrong, at the port.

use std::net::UdpSocket;
use std::time::Duration;

use super::Calm;

/// Datagrams of a run; `AUTHEPY_DATAGRAMS=1000000` for a long one.
const COUNT: usize = 100_000;

/// Numbers that look random and are the same in each run (splitmix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.roll() % bound as u64) as usize
    }
}

/// The first datagrams of real handshakes, to be spoiled.
fn initials() -> Vec<Vec<u8>> {
    let relay = UdpSocket::bind("127.0.0.1:0").unwrap();
    relay.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let address = relay.local_addr().unwrap();
    let phones: Vec<_> = (0..8)
        .map(|_| {
            let endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
            let mut tls = rustls::ClientConfig::builder()
                .with_root_certificates(rustls::RootCertStore::empty())
                .with_no_client_auth();
            tls.alpn_protocols = vec![b"h3".to_vec()];
            let quic = quinn::crypto::rustls::QuicClientConfig::try_from(tls).unwrap();
            let config = quinn::ClientConfig::new(std::sync::Arc::new(quic));
            let connecting = endpoint.connect_with(config, address, "localhost").unwrap();
            (endpoint, connecting)
        })
        .collect();
    let mut datagrams = Vec::new();
    tokio::task::block_in_place(|| {
        while datagrams.len() < phones.len() {
            let mut datagram = vec![0; 2_048];
            let length = relay.recv(&mut datagram).unwrap();
            datagram.truncate(length);
            datagrams.push(datagram);
        }
    });
    datagrams
}

/// A datagram: pure noise, or an Initial with some of its bytes changed, cut, or longer than it says.
fn spoiled(dice: &mut Dice, initials: &[Vec<u8>]) -> Vec<u8> {
    if dice.below(4) == 0 {
        let length = dice.below(1_400);
        return (0..length).map(|_| dice.roll() as u8).collect();
    }
    let mut datagram = initials[dice.below(initials.len())].clone();
    for _ in 0..dice.below(8) {
        // Mostly the header, which is read before anything is decrypted.
        let reach = if dice.below(3) > 0 { 48 } else { datagram.len() };
        let at = dice.below(reach);
        datagram[at] = dice.roll() as u8;
    }
    match dice.below(4) {
        0 => datagram.truncate(dice.below(1_200)),
        1 => datagram.extend((0..dice.below(200)).map(|_| 0)),
        _ => {}
    }
    datagram
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a54_spoiled_datagrams_get_at_most_three_times_their_bytes_back() {
    let _turn = crate::turn().await;
    let count: usize = std::env::var("AUTHEPY_DATAGRAMS").map_or(COUNT, |n| n.parse().unwrap());
    let calm = Calm::start("datagrams").await;
    let initials = initials();
    let server = calm.server.h3();
    let (sent, heard) = calm
        .survives(async move {
            tokio::task::spawn_blocking(move || {
                let (mut dice, mut sent, mut heard) = (Dice(54), 0, 0);
                let mut socket = UdpSocket::bind("127.0.0.1:0").unwrap();
                for n in 0..count {
                    if n % 64 == 0 {
                        // The kernel's queue is not what is tried here.
                        std::thread::sleep(Duration::from_millis(1));
                        heard += answers(&socket);
                        socket = UdpSocket::bind("127.0.0.1:0").unwrap();
                    }
                    let datagram = spoiled(&mut dice, &initials);
                    sent += socket.send_to(&datagram, server).unwrap_or(0);
                }
                (sent, heard + answers(&socket))
            })
            .await
            .unwrap()
        })
        .await;
    println!("{count} datagrams: {sent} B sent, {heard} B heard");
    assert!(heard <= 3 * sent, "{heard} B for {sent} B");
    assert!(heard > 0, "some were good enough for an answer");
}

/// The bytes that have come so far.
fn answers(socket: &UdpSocket) -> usize {
    socket.set_nonblocking(true).unwrap();
    std::iter::from_fn(|| socket.recv(&mut [0; 2_048]).ok()).sum()
}
