//! Requests that end at once: reset by the phone, or made such that the server resets them.

use quinn::{Connection, ConnectionError, VarInt};

use super::Calm;
use authepy_testkit::phone::connect;
use authepy_testkit::raw::{HEAD, frame, headers, section};

const EXCESSIVE_LOAD: VarInt = VarInt::from_u32(0x107);
const REQUEST_CANCELLED: VarInt = VarInt::from_u32(0x10c);
/// Streams at most: five thousand times `connections.resets`' default would be answered elsewhere.
const STREAMS: usize = 100_000;

/// One way to cost the server a request and take nothing for it.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// A head that is cut off (CVE-2023-44487).
    Reset,
    /// A request whose answer is not wanted.
    Stop,
    /// A message that breaks the rules, so that the server resets (CVE-2025-8671).
    Malformed,
    /// A frame that does not belong there; the server closes for it.
    Unexpected,
}

/// Opens streams until the connection ends; returns how many there were and how it ended.
async fn flood(connection: &Connection, way: Way) -> (usize, ConnectionError) {
    let whole = headers(&section(&HEAD));
    let malformed = headers(&section(&[HEAD[0], HEAD[1], HEAD[2], HEAD[3], ("connection", "close")]));
    for n in 0..STREAMS {
        let Ok((mut send, mut recv)) = connection.open_bi().await else {
            return (n, connection.closed().await);
        };
        let _gone = match way {
            Way::Reset => {
                let _gone = send.write_all(&whole[..12]).await;
                send.reset(REQUEST_CANCELLED).is_ok()
            }
            Way::Stop => {
                let _gone = recv.stop(REQUEST_CANCELLED);
                send.write_all(&whole).await.is_ok() && send.finish().is_ok()
            }
            Way::Malformed => send.write_all(&malformed).await.is_ok() && send.finish().is_ok(),
            Way::Unexpected => send.write_all(&frame(4, 0, &[])).await.is_ok(),
        };
    }
    panic!("{way:?}: {STREAMS} streams and no end")
}

#[tokio::test]
async fn a42_resets_of_every_make_use_up_a_budget_and_then_the_connection() {
    let _turn = crate::turn().await;
    let calm = Calm::start("resets").await;
    for way in [Way::Reset, Way::Stop, Way::Malformed, Way::Unexpected] {
        let floods = async {
            let mut ends = Vec::new();
            for _ in 0..10 {
                let (_endpoint, connection) = connect(&calm.server).await;
                ends.push(flood(&connection, way).await);
            }
            ends
        };
        for (streams, end) in calm.survives(floods).await {
            let ConnectionError::ApplicationClosed(close) = end else { panic!("{way:?}: {end}") };
            if !matches!(way, Way::Unexpected) {
                assert_eq!(close.error_code, EXCESSIVE_LOAD, "{way:?}");
            }
            // The budget, and what was under way when it was used up.
            assert!(streams <= 200 + 64 * 8, "{way:?}: {streams} streams");
        }
    }
}
