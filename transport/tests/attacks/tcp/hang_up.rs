//! A request that was read runs to its end, whether or not somebody still listens: its mail goes out.

use tokio::io::AsyncWriteExt;

use authepy_testkit::tcp::connect;
use authepy_testkit::{DevServer, NO_LIMITS};

/// More lanes than one, so that most requests wait for a shard that is not on their own while the end of
/// the connection is read.
#[tokio::test]
async fn a_phone_that_hangs_up_still_gets_its_mail() {
    let server = DevServer::start(&[&NO_LIMITS[..], &["engine.shards=8"]].concat());
    let key = server.text("secret_key");
    for n in 0..20 {
        let recipient = format!("ada{n}@example.com");
        let body = format!(r#"{{"recipient":"{recipient}"}}"#);
        let mut tls = connect(&server, &["http/1.1"]).await;
        let request = format!(
            "POST /v1/verifications HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        tls.write_all(request.as_bytes()).await.unwrap();
        tls.shutdown().await.unwrap();
        server.code_for(&recipient);
    }
}
