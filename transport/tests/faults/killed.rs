//! `kill -9` (A69): the next process is there at once and knows none of the codes of the one before; phones that
//! were connected hear of it with their next packet (A55).

use std::time::Instant;

use futures_util::future::join_all;
use tempfile::TempDir;

use authepy_testkit::operator::new_key;
use authepy_testkit::phone::Phone;
use authepy_testkit::serve::Site;

/// Codes that live when it happens.
const LIVE: usize = 1_000;

#[tokio::test]
async fn a_killed_server_is_back_on_its_port_and_every_old_id_is_unknown() {
    let folder = TempDir::new().unwrap();
    let store = Site::sqlite(&folder);
    let key = new_key(&store, "shop", &["--class", "secret", "--test"])["key"].as_str().unwrap().to_owned();
    let more = format!("limits.recipient.issue = \"off\"\n{}", Site::outbox(&folder));
    let mut server = Site::new(&store, &more).serve();
    let phone = Phone::connect_with(&server, &key).await;
    let ids = join_all((0..LIVE).map(|n| phone.issue_owned(format!("user{n}@gmail.com")))).await;
    // One that is under way over TCP, so that the port has a past.
    let tcp = Phone::over(authepy_testkit::phone::Wire::H2, &server).await.with_key(&key);
    assert_eq!(tcp.get("/readyz").await.status, 200);

    server.signal("-KILL");
    assert_eq!(server.exit_code(), None, "no exit code but a signal");
    let config = server.site.path("authepy.toml");
    let listen = format!("listen = [\"{}\"]", server.h3());
    let text = std::fs::read_to_string(&config).unwrap().replace("listen = [\"127.0.0.1:0\"]", &listen);
    std::fs::write(&config, text).unwrap();
    let began = Instant::now();
    let server = server.serve_again();
    println!("from start to ready: {:?}", began.elapsed());

    // Its next packet is answered by a reset that it can check, long before its idle timeout.
    let lost = phone.quic().connection.clone();
    let _no_answer = lost.open_bi().await.map(|(mut send, _)| send.finish());
    assert_eq!(lost.closed().await, quinn::ConnectionError::Reset);

    let phone = Phone::connect_with(&server, &key).await;
    assert_eq!(phone.get("/readyz").await.status, 200);
    let unknown = phone.check("vrf_0000000000000000000000", "000000").await;
    let answers = join_all(ids.iter().map(|id| phone.check(id, "000000"))).await;
    for heard in &answers {
        assert_eq!(heard.code(), (404, "verification-not-found"), "{heard:?}");
        assert_eq!(heard.body["detail"], unknown.body["detail"], "like any id that never was");
    }
    let id = phone.issue("user0@gmail.com").await;
    assert_eq!(phone.check(&id, "000000").await.body["valid"], true, "and new codes work");
}
