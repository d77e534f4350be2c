//! Real Initials, and a real way to be banned.
use std::time::Duration;

use authepy_benches::process::Ready;
use authepy_benches::yardstick;
use tokio::time::timeout;

/// Different Initials; they are sent again and again, and each is a stranger again.
const INITIALS: usize = 256;
/// Tries before a server that does not ban is given up.
const TRIES: usize = 20;
const PATIENCE: Duration = Duration::from_secs(2);

/// The first datagrams of connections that quinn means to open.
pub(crate) async fn catch(ca: &str) -> Result<Vec<Vec<u8>>, String> {
    let text = |error: std::io::Error| error.to_string();
    let sink = tokio::net::UdpSocket::bind("127.0.0.1:0").await.map_err(text)?;
    let address = sink.local_addr().map_err(text)?;
    let mut caught = Vec::new();
    let mut datagram = [0; 2_048];
    while caught.len() < INITIALS {
        // An endpoint each, so that what comes first from its port is what is looked for.
        let endpoint = yardstick::client(ca, [127, 0, 0, 1])?;
        let port = endpoint.local_addr().map_err(text)?.port();
        let _connecting = endpoint.connect(address, "localhost").map_err(|error| error.to_string())?;
        loop {
            let (length, from) = sink.recv_from(&mut datagram).await.map_err(text)?;
            if from.port() == port {
                caught.push(datagram[..length].to_vec());
                break;
            }
        }
    }
    Ok(caught)
}

/// Shakes hands from this address until nobody answers.
pub(crate) async fn get_banned(server: &Ready, source: [u8; 4]) -> Result<(), String> {
    let endpoint = yardstick::client(&server.ca, source)?;
    for _ in 0..TRIES {
        let connecting = endpoint.connect(server.h3, "localhost").map_err(|error| error.to_string())?;
        if timeout(PATIENCE, connecting).await.is_err() {
            return Ok(());
        }
    }
    Err("the server does not ban".into())
}
