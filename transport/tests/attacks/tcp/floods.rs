//! HTTP/2 floods: each ends its connection, costs bounded memory, and an honest phone is served.

use tokio::io::AsyncWriteExt;

use super::frames::*;
use super::{PATIENCE, canary, until_closed};
use authepy_testkit::{DevServer, NO_LIMITS};

/// How much more memory than before the server may hold under attack.
const ROOM_KIB: u64 = 64 << 10;
/// Frames after which a flood that was not stopped gives up: far above every budget.
const ENOUGH: u32 = 1_000_000;

/// Sends `next(n)` for n = 0, 1, … and reads whatever comes, until the server ends the connection.
async fn flood(server: &DevServer, name: &str, mut next: impl FnMut(u32) -> Vec<u8>) {
    let (mut read, mut write) = tokio::io::split(open(server, &[]).await);
    let send = async {
        for batch in 0..ENOUGH / 100 {
            let frames: Vec<u8> = (0..100).flat_map(|n| next(100 * batch + n)).collect();
            if write.write_all(&frames).await.is_err() {
                return batch * 100;
            }
        }
        ENOUGH
    };
    let sent = tokio::time::timeout(PATIENCE, async {
        tokio::select! {
            sent = send => sent,
            _ = until_closed(&mut read) => 0,
        }
    });
    assert!(sent.await.expect("the connection ends") < ENOUGH, "{name} goes on for ever");
}

fn stream(n: u32) -> u32 {
    2 * n + 1
}

/// RST_STREAM with CANCEL.
fn reset(stream: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])
}

#[tokio::test]
async fn floods_end_their_connection_and_nothing_else() {
    let server = DevServer::start(&NO_LIMITS);
    canary(&server, "before").await;
    let before = server.rss_kib();
    let begun = |stream| post(stream, &[("content-type", "application/json")]);

    flood(&server, "rapid reset", |n| [get(stream(n), "/healthz"), reset(stream(n))].concat()).await;
    flood(&server, "late reset", |n| {
        let late = n.checked_sub(20).map_or(Vec::new(), |earlier| reset(stream(earlier)));
        [begun(stream(n)), late].concat()
    })
    .await;
    // Each makes the server reset the stream: a window update of nothing.
    flood(&server, "made you reset", |n| {
        [begun(stream(n)), frame(WINDOW_UPDATE, 0, stream(n), &[0; 4])].concat()
    })
    .await;
    let opening = block(&head("GET", "/healthz"));
    flood(&server, "continuation", |n| match n {
        0 => frame(HEADERS, 0, 1, &opening),
        _ => frame(CONTINUATION, 0, 1, &block(&[("x", "y")])),
    })
    .await;
    flood(&server, "empty continuation", |n| match n {
        0 => frame(HEADERS, 0, 1, &opening),
        _ => frame(CONTINUATION, 0, 1, b""),
    })
    .await;
    let unread = |n, data: Vec<u8>| if n == 0 { begun(1) } else { data };
    flood(&server, "empty data", |n| unread(n, frame(DATA, 0, 1, b""))).await;
    flood(&server, "padded data", |n| unread(n, frame(DATA, PADDED, 1, &[1, 0]))).await;
    flood(&server, "settings", |_| frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100])).await;
    flood(&server, "ping", |_| frame(PING, 0, 0, &[7; 8])).await;
    flood(&server, "priority", |n| frame(PRIORITY, 0, stream(n), &[0, 0, 0, 0, 1])).await;
    flood(&server, "window update", |_| frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])).await;
    flood(&server, "unknown frames", |_| frame(0xbe, 0, 0, b"grease")).await;

    canary(&server, "after").await;
    let after = server.rss_kib();
    assert!(after <= before + ROOM_KIB, "{before} KiB before, {after} KiB after");
}

/// h2 refuses them by itself, before any window hears of them; so a connection has a bounded number of them.
#[tokio::test]
async fn heads_that_h2_refuses_end_their_connection() {
    let server = DevServer::start(&NO_LIMITS);
    // 600 references into the static table: 600 bytes, and some 45 KiB of fields.
    let bomb = [block(&head("GET", "/healthz")), vec![0x90; 600]].concat();
    flood(&server, "heads too large to decode", |n| {
        frame(HEADERS, END_STREAM | END_HEADERS, stream(n), &bomb)
    })
    .await;
    canary(&server, "heads").await;
}

#[tokio::test]
async fn header_bombs_are_refused() {
    let server = DevServer::start(&NO_LIMITS);
    let before = server.rss_kib();
    // 16 KiB of one-byte references into the static table, each of them a whole field.
    let indexed = [block(&head("GET", "/healthz")), vec![0x90; 12_000]].concat();
    // One long field in the dynamic table, referred to ten thousand times.
    let mut referred = block(&head("GET", "/healthz"));
    referred.extend_from_slice(&[0x40, 1, b'x', 0x7f, 0x81, 0x1e]);
    referred.extend_from_slice(&[b'a'; 4000]);
    referred.extend_from_slice(&[0xbe; 10_000]);
    for bomb in [indexed, referred] {
        let mut tls = open(&server, &[]).await;
        tls.write_all(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &bomb)).await.unwrap();
        let answer = loop {
            match read(&mut tls).await {
                Some((HEADERS, .., payload)) => break Some(payload),
                Some((RST_STREAM | GOAWAY, ..)) | None => break None,
                Some(_) => {}
            }
        };
        // 431 is a literal in our answer's block, or an end without one.
        assert!(answer.is_none_or(|block| !block.starts_with(&[0x88])), "not served");
    }
    canary(&server, "bombs").await;
    assert!(server.rss_kib() <= before + ROOM_KIB);
}
