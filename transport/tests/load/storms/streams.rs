//! Unidirectional streams and what is said on them, without measure.

use quinn::{Connection, ConnectionError};

use super::Calm;
use authepy_testkit::phone::connect;
use authepy_testkit::raw::{frame, varint};

/// Streams or frames at most.
const COUNT: usize = 100_000;
const CONTROL: u64 = 0;
const SETTINGS: u64 = 4;

/// Sends frames of this kind on the control stream until the connection ends; returns how many.
async fn chatter(connection: &Connection, one: &[u8]) -> Option<(usize, ConnectionError)> {
    let mut control = connection.open_uni().await.unwrap();
    control.write_all(&[varint(CONTROL), frame(SETTINGS, 0, &[])].concat()).await.unwrap();
    let hundred = one.repeat(100);
    for n in 0..COUNT / 100 {
        if control.write_all(&hundred).await.is_err() {
            return Some((n * 100, connection.closed().await));
        }
    }
    None
}

/// Opens streams that begin so until the connection ends; returns how many.
async fn open(connection: &Connection, first: &[u8]) -> Option<(usize, ConnectionError)> {
    for n in 0..COUNT {
        let Ok(mut stream) = connection.open_uni().await else { return Some((n, connection.closed().await)) };
        let _refused = stream.write_all(first).await;
        let _refused = stream.finish();
    }
    None
}

fn code(end: &ConnectionError) -> u64 {
    let ConnectionError::ApplicationClosed(close) = end else { panic!("{end}") };
    close.error_code.into_inner()
}

#[tokio::test]
async fn a43_streams_and_frames_that_serve_no_request_have_a_budget() {
    let _turn = crate::turn().await;
    let calm = Calm::start("streams").await;
    for (what, one, expected) in [
        ("grease frames of no bytes", frame(0x21, 0, &[]), 0x107),
        ("MAX_PUSH_ID", frame(0xd, 8, &varint(1 << 20)), 0x107),
        ("CANCEL_PUSH", frame(0x3, 8, &varint(0)), 0x107),
        ("PRIORITY_UPDATE", frame(0xf0700, 8, &varint(0)), 0x107),
        ("GOAWAY", frame(0x7, 8, &varint(0)), 0x107),
    ] {
        let (_endpoint, connection) = connect(&calm.server).await;
        let (sent, end) = calm.survives(chatter(&connection, &one)).await.unwrap_or_else(|| panic!("{what}"));
        println!("{what}: {sent} frames, then {:#x}", code(&end));
        assert!(code(&end) == expected || (0x100..=0x110).contains(&code(&end)), "{what}: {end}");
    }
    for (what, first, expected) in [
        ("streams of unknown type", varint(0x21), 0x107),
        ("streams that never say their type", vec![], 0x107),
        ("control streams", varint(CONTROL), 0x103),
        ("push streams", varint(1), 0x103),
    ] {
        let (_endpoint, connection) = connect(&calm.server).await;
        let ended = calm.survives(open(&connection, &first)).await;
        let (sent, end) = ended.unwrap_or_else(|| panic!("{what}: {COUNT} and no end"));
        println!("{what}: {sent} streams, then {:#x}", code(&end));
        assert!(code(&end) == expected || code(&end) == 0x104, "{what}: {end}");
    }
}
