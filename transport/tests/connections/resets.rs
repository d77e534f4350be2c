//! Stateless resets tell nobody the token of a connection that lives (RFC 9000, 21.11).

use serde_json::{Value, json};

use authepy_testkit::script::report;
use authepy_testkit::{DevServer, NO_LIMITS};

fn server(listen: &[&str]) -> DevServer {
    let mut arguments = vec!["dev", "--json"];
    listen.iter().for_each(|address| arguments.extend(["--listen", *address]));
    NO_LIMITS.iter().chain(&["engine.shards=2"]).for_each(|setting| arguments.extend(["--set", *setting]));
    DevServer::run(&arguments)
}

/// What came of asking these addresses for the tokens of a connection to the first one.
fn asked(server: &DevServer, hosts: &[&str]) -> (Value, Vec<Value>) {
    let port = server.h3().port();
    let addresses: Vec<String> = hosts.iter().map(|host| format!("{host}:{port}")).collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let told = report("reset_oracle.py", server, &addresses);
    let of_each = addresses.iter().map(|address| told[address].clone()).collect();
    (told, of_each)
}

#[test]
fn another_address_of_the_server_answers_with_another_token() {
    let server = server(&["127.0.0.1:0", "127.0.0.2:0", "[::1]:0"]);
    let (told, of_each) = asked(&server, &["127.0.0.2", "[::1]"]);
    let ids = told["ids"].as_u64().unwrap();
    assert!(ids >= 4, "{told}");
    assert_eq!(told["alive"], true);
    for heard in of_each {
        assert_eq!(heard["tokens"], 0, "{told}");
        assert_eq!(heard["answers"], ids, "unknown there, so each is answered: {told}");
    }
}

#[test]
fn an_endpoint_on_all_addresses_knows_its_connections_on_each() {
    for listen in ["0.0.0.0:0", "[::]:0"] {
        let server = server(&[listen]);
        let (told, of_each) = asked(&server, &["127.0.0.2", "127.0.0.1"]);
        assert!(told["ids"].as_u64().unwrap() >= 4, "{told}");
        for heard in of_each {
            assert_eq!(heard, json!({"answers": 0, "tokens": 0}), "{listen}: {told}");
        }
        assert_eq!(told["alive"], true);
    }
}
