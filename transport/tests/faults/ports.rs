//! A port that somebody else holds, even one who offers to share it, is not joined.

use std::net::SocketAddr;
use std::process::Command;

use socket2::{Domain, Socket, Type};

use authepy_testkit::canary::Canary;
use authepy_testkit::{DevServer, binary};

/// Exit code and words of a start that must not come about; one that does ends with `timeout`'s 124.
fn start_on(address: SocketAddr) -> (i32, String) {
    let output = Command::new("timeout")
        .arg("20")
        .arg(binary())
        .args(["dev", "--json", "--admin", "127.0.0.1:0"])
        .args(["--listen", &address.to_string()])
        .output()
        .unwrap();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[tokio::test]
async fn a_second_server_on_a_port_ends_with_69_and_the_first_serves_on() {
    let server = DevServer::start(&["engine.shards=2"]);
    let canary = Canary::with_mail(&server, "first").await;
    let address = server.h3();
    let (code, said) =
        canary.beside(async { tokio::task::spawn_blocking(move || start_on(address)).await.unwrap() }).await;
    assert_eq!(code, 69, "{said}");
    assert!(said.contains("listen: UDP and TCP on ") && said.contains(": address in use"), "{said}");
}

#[test]
fn a_port_that_is_shared_by_somebody_else_is_not_joined() {
    for kind in [Type::DGRAM, Type::STREAM] {
        let socket = Socket::new(Domain::IPV4, kind, None).unwrap();
        socket.set_reuse_port(true).unwrap();
        socket.set_reuse_address(true).unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        if kind == Type::STREAM {
            socket.listen(1).unwrap();
        }
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        let (code, said) = start_on(address);
        assert!(
            code == 69 && said.contains("listen: UDP and TCP on ") && said.contains(": address in use"),
            "{kind:?}: {code} {said}"
        );
    }
}
