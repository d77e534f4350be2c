//! The cases of kazu-yamamoto/h3spec over the wire, played by a client that is not ours (A46), and what the log
//! says of them: nothing, or whoever repeats them fills the disk.
//!
//! Of its 49 titles one stands there twice, and one can't be played: "PROTOCOL_VIOLATION if CRYPTO in 0-RTT is
//! received" needs keys of early data, which this server never has; such packets are dropped unread.

use std::process::Command;

use authepy_testkit::DevServer;
use authepy_testkit::phone::Phone;
use authepy_testkit::script::python;
use serde_json::Value;

const CASES: usize = 47;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_case_of_h3spec_ends_as_it_says() {
    let server =
        DevServer::start(&["engine.shards=2", "limits.peer.handshake=off", "limits.peer.denied=off"]);
    Phone::connect(&server).await.issue("ada@mybrand.com").await;
    let before = server.log();
    let output = Command::new(python())
        .arg(authepy_testkit::script::client("h3spec.py"))
        .arg(server.ready.to_string())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    let cases: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let failed: Vec<&Value> = cases.iter().filter(|case| case["passed"] != true).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert_eq!(cases.len(), CASES);
    assert_eq!(server.log(), before, "the log is as it was");
    Phone::connect(&server).await.issue("eve@mybrand.com").await;
}
