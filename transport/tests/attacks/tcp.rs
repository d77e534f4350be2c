//! Hostile TCP, TLS, HTTP/2 and HTTP/1.1 (attack row A59b): refused, bounded, and nobody else notices.

mod crowds;
mod drain;
mod floods;
mod frames;
mod hang_up;
mod slow;
mod smuggling;
mod strangers;

use std::time::Duration;

use authepy_testkit::DevServer;
use authepy_testkit::phone::{Phone, Wire};
use tokio::io::{AsyncRead, AsyncReadExt};

/// How long anything here may take before the test says that it never happens.
const PATIENCE: Duration = Duration::from_secs(30);

/// Reads until the server closes or resets the connection; what it sent before.
async fn until_closed(stream: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let (mut heard, mut chunk) = (Vec::new(), [0; 4096]);
    let read = async {
        while let Ok(length @ 1..) = stream.read(&mut chunk).await {
            heard.extend_from_slice(&chunk[..length]);
        }
    };
    tokio::time::timeout(PATIENCE, read).await.expect("the server closes the connection");
    heard
}

/// An honest phone signs up beside the attack, over each wire.
async fn canary(server: &DevServer, name: &str) {
    for wire in Wire::ALL {
        let phone = Phone::over(wire, server).await.with_key(server.text("secret_test_key"));
        let id = phone.issue(&format!("{name}.{wire:?}@example.com")).await;
        assert_eq!(phone.check(&id, "000000").await.body["valid"], true);
    }
}
