//! Frames that no client sends so many of, from aioquic (`clients/quic_storm.py`).

use std::process::Command;

use super::Calm;
use authepy_testkit::DevServer;
use authepy_testkit::script::python;

/// Frames of a kind.
const COUNT: u64 = 100_000;

/// INTERNAL_ERROR to CRYPTO_BUFFER_EXCEEDED: QUIC's own words for what is against its rules, or too much (RFC 9000,
/// 20.1).
const REFUSALS: std::ops::RangeInclusive<u64> = 0x1..=0xd;
/// How aioquic words that it has heard nothing for its idle time. It must have been told.
const DEAF: &str = "Idle timeout";

/// Plays one kind; returns how many frames left and what closed the connection.
async fn play(server: &DevServer, kind: &str) -> (u64, Option<u64>) {
    let mut script = Command::new(python());
    script.arg(authepy_testkit::script::client("quic_storm.py"));
    script.args([&server.ready.to_string(), kind, &COUNT.to_string()]);
    let output = tokio::task::spawn_blocking(move || script.output().unwrap()).await.unwrap();
    let told: serde_json::Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    println!("{kind}: {told}");
    assert_ne!(told["why"], DEAF, "{kind}");
    (told["sent"].as_u64().unwrap(), told["closed"].as_u64())
}

#[tokio::test]
async fn a51_a52_frames_without_measure_are_refused_or_borne() {
    let _turn = crate::turn().await;
    let calm = Calm::start("frames").await;
    // With how the connection may end; `true`: it may also bear all of them.
    for (kind, is_borne) in [
        ("new-connection-id", true),
        ("retire-connection-id", false),
        ("path-challenge", true),
        ("ack-of-unsent", false),
        ("stream-gap", true),
        ("crypto-gap", true),
        ("max-data", true),
        ("streams-blocked", true),
        ("data-blocked", true),
        ("stop-sending", true),
    ] {
        let (sent, closed) = calm.survives(play(&calm.server, kind)).await;
        match closed {
            Some(code) => assert!(REFUSALS.contains(&code), "{kind}: closed with {code:#x}"),
            None => assert!(is_borne && sent == COUNT, "{kind}: {sent} sent and not closed"),
        }
    }
}
