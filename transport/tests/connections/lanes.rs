//! Lanes from outside: nobody chooses his, and everybody may come back to another.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use quinn::{ConnectionError, ConnectionId, Endpoint};
use rustls::HandshakeKind;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use authepy_testkit::phone::{Phone, client_config, tls_config};
use authepy_testkit::{DevServer, NO_LIMITS};

fn server(settings: &[&str]) -> DevServer {
    DevServer::start(&[&NO_LIMITS[..], settings].concat())
}

/// Passes datagrams on between one client and the server, and keeps the id that the server's first one bears.
fn relay(server: &DevServer) -> (std::net::SocketAddr, Arc<Mutex<Vec<u8>>>) {
    let (inside, outside) =
        (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    let (address, seen) = (inside.local_addr().unwrap(), Arc::<Mutex<Vec<u8>>>::default());
    outside.connect(server.h3()).unwrap();
    for socket in [&inside, &outside] {
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    }
    let client = Arc::<Mutex<Option<std::net::SocketAddr>>>::default();
    let (forth, back) = (outside.try_clone().unwrap(), inside.try_clone().unwrap());
    let known = client.clone();
    std::thread::spawn(move || {
        let mut buffer = [0; 2_048];
        while let Ok((length, from)) = inside.recv_from(&mut buffer) {
            *known.lock().unwrap() = Some(from);
            let _gone = forth.send(&buffer[..length]);
        }
    });
    let id = seen.clone();
    std::thread::spawn(move || {
        let mut buffer = [0; 2_048];
        while let Ok(length) = outside.recv(&mut buffer) {
            if buffer[0] & 0x80 != 0 && id.lock().unwrap().is_empty() {
                // Behind the client's id: a length, and the server's own.
                let at = 6 + usize::from(buffer[5]);
                *id.lock().unwrap() = buffer[at + 1..at + 1 + usize::from(buffer[at])].to_vec();
            }
            let to = client.lock().unwrap().unwrap();
            let _gone = back.send_to(&buffer[..length], to);
        }
    });
    (address, seen)
}

/// Opens a connection whose first id is this one.
async fn connect_as(server: &DevServer, id: Vec<u8>) -> Result<quinn::Connection, ConnectionError> {
    let mut config = client_config(server);
    config.initial_dst_cid_provider(Arc::new(move || ConnectionId::new(&id)));
    let mut endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    endpoint.set_default_client_config(config);
    endpoint.connect(server.h3(), "localhost").unwrap().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_of_the_servers_opens_no_connection_to_the_lane_it_leads_to() {
    let server = server(&["engine.shards=4"]);
    let (through, seen) = relay(&server);
    let mut endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    endpoint.set_default_client_config(client_config(&server));
    let first = endpoint.connect(through, "localhost").unwrap().await.unwrap();
    let id = seen.lock().unwrap().clone();
    assert_eq!(id.len(), 8);
    first.close(0u32.into(), b"");
    endpoint.wait_idle().await;
    // Once the server has forgotten the connection, its id is nobody's any more.
    tokio::time::sleep(Duration::from_secs(1)).await;
    match connect_as(&server, id.clone()).await {
        Err(ConnectionError::ConnectionClosed(close)) => {
            assert_eq!(close.error_code, quinn::TransportErrorCode::CONNECTION_REFUSED);
        }
        other => panic!("{other:?}"),
    }
    let mut near = id;
    near[0] ^= 1;
    connect_as(&server, near).await.expect("what only looks like one is a client's");
    connect_as(&server, vec![7; 20]).await.expect("and so is any other");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_sign_up_whatever_bytes_of_their_first_id_are_fixed() {
    let server = server(&["engine.shards=4"]);
    for fixed in 0..8 {
        for length in [8, 20] {
            let mut id = vec![0; length];
            getrandom::fill(&mut id).unwrap();
            id[fixed] = 0x42;
            let connection = connect_as(&server, id).await.unwrap();
            let endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
            let phone = Phone::on_quic(&server, endpoint, connection).await;
            let phone = phone.with_key(server.text("secret_test_key"));
            let issued = phone.issue(&format!("byte{fixed}.{length}@gmail.com")).await;
            assert_eq!(phone.check(&issued, "000000").await.body["valid"], true);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_resumed_on_whichever_lane_the_phone_comes_back_to() {
    let server = server(&["engine.shards=4"]);
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let mut config = tls_config(&server, &["h2"]);
        config = restricted_to(&server, config, version);
        let connector = TlsConnector::from(Arc::new(config));
        let mut resumed = 0;
        for n in 0..33 {
            let stream = TcpStream::connect(server.tcp()).await.unwrap();
            let name = ServerName::try_from("localhost").unwrap();
            let mut tls = connector.connect(name, stream).await.unwrap();
            // Its ticket comes behind the handshake, with the server's first frame.
            tokio::io::AsyncReadExt::read(&mut tls, &mut [0; 64]).await.unwrap();
            let kind = tls.get_ref().1.handshake_kind();
            match n {
                0 => assert_ne!(kind, Some(HandshakeKind::Resumed)),
                _ => resumed += usize::from(kind == Some(HandshakeKind::Resumed)),
            }
        }
        assert_eq!(resumed, 32, "{version:?}: over four lanes, each shut out three in four otherwise");
    }
}

fn restricted_to(
    server: &DevServer,
    config: rustls::ClientConfig,
    version: &'static rustls::SupportedProtocolVersion,
) -> rustls::ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(server.ca()).unwrap();
    let mut only = rustls::ClientConfig::builder_with_protocol_versions(&[version])
        .with_root_certificates(roots)
        .with_no_client_auth();
    only.alpn_protocols = config.alpn_protocols;
    only
}
