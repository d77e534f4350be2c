//! HTTP/2 by hand: frames no client library would send.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use authepy_testkit::DevServer;
use authepy_testkit::tcp::{self, Tls};

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const PRIORITY: u8 = 2;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

pub(super) const END_STREAM: u8 = 0x1;
pub(super) const END_HEADERS: u8 = 0x4;
pub(super) const PADDED: u8 = 0x8;

pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
    out
}

/// A field block: literals without indexing, no Huffman.
pub(super) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in fields {
        assert!(name.len() < 127 && value.len() < 127);
        out.push(0);
        for text in [name, value] {
            out.push(text.len() as u8);
            out.extend_from_slice(text.as_bytes());
        }
    }
    out
}

pub(super) fn head<'a>(method: &'a str, path: &'a str) -> [(&'a str, &'a str); 4] {
    [(":method", method), (":scheme", "https"), (":authority", "localhost"), (":path", path)]
}

/// One whole request without a body.
pub(super) fn get(stream: u32, path: &str) -> Vec<u8> {
    frame(HEADERS, END_STREAM | END_HEADERS, stream, &block(&head("GET", path)))
}

/// The beginning of a request with a body to come.
pub(super) fn post(stream: u32, fields: &[(&str, &str)]) -> Vec<u8> {
    let fields = [&head("POST", "/v1/verifications"), fields].concat();
    frame(HEADERS, END_HEADERS, stream, &block(&fields))
}

/// A connection whose preface is written, with these settings.
pub(super) async fn open(server: &DevServer, settings: &[u8]) -> Tls {
    let mut tls = tcp::connect(server, &["h2"]).await;
    tls.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    tls.write_all(&frame(SETTINGS, 0, 0, settings)).await.unwrap();
    tls
}

/// One frame from the server: kind, flags, stream, payload.
pub(super) async fn read(tls: &mut Tls) -> Option<(u8, u8, u32, Vec<u8>)> {
    let read = async {
        let mut header = [0; 9];
        tls.read_exact(&mut header).await.ok()?;
        let [a, b, c, kind, flags, stream @ ..] = header;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        tls.read_exact(&mut payload).await.ok()?;
        Some((kind, flags, u32::from_be_bytes(stream), payload))
    };
    tokio::time::timeout(Duration::from_secs(30), read).await.expect("a frame or the end")
}

/// The first frame of this kind; `None` if the connection ends before.
pub(super) async fn read_kind(tls: &mut Tls, wanted: u8) -> Option<(u8, u8, u32, Vec<u8>)> {
    loop {
        match read(tls).await? {
            found if found.0 == wanted => return Some(found),
            _ => {}
        }
    }
}
