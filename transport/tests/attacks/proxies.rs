//! Who is believed about where a request came from, seen from outside.

use authepy_testkit::DevServer as Server;
use authepy_testkit::client::{Fields, Quic, Tcp, outcome, trusting};
use serde_json::json;

const ANY_NUMBER: &str = "limits.recipient.issue=off";

fn server(trusted: &str) -> Server {
    let trusted = format!("proxy.trusted={trusted}");
    let settings = ["--set", &trusted, "--set", ANY_NUMBER, "--set", "limits.recipient_peer.issue=off"];
    Server::run(&[&["dev", "--json", "--listen", "127.0.0.1:0"], &settings[..]].concat())
}

/// The two lists contradict each other: refused if they are read, nothing at all if they are not.
const CONTRADICTION: Fields<'static> =
    &[("Forwarded", "for=203.0.113.9"), ("X-Forwarded-For", "198.51.100.1")];

/// Each with whether a trusted proxy may say it.
const LISTS: &[(Fields<'static>, bool, &str)] = &[
    (&[("Forwarded", "for=203.0.113.9")], true, "one list"),
    (&[("X-Forwarded-For", "203.0.113.9, 198.51.100.1")], true, "the other list"),
    (&[("Forwarded", "for=203.0.113.9"), ("X-Forwarded-For", "203.0.113.9")], true, "both, and they agree"),
    (CONTRADICTION, false, "both, and they don't"),
    (
        &[
            ("X-Forwarded-For", "198.51.100.1"),
            ("X-Forwarded-For", "203.0.113.9"),
            ("Forwarded", "for=203.0.113.9"),
        ],
        true,
        "the last line's last hop is the peer",
    ),
    (
        &[
            ("X-Forwarded-For", "198.51.100.1"),
            ("X-Forwarded-For", "203.0.113.9"),
            ("Forwarded", "for=198.51.100.1"),
        ],
        false,
        "the first line's is not",
    ),
    (
        &[
            ("Forwarded", "for=198.51.100.1;x=\""),
            ("X-Forwarded-For", "203.0.113.9"),
            ("Forwarded", "for=\"203.0.113.9:80\""),
            ("X-Forwarded-For", "127.0.0.9"),
            ("Forwarded", "for=127.0.0.9"),
        ],
        true,
        "lines of both in turn, an open quote among them",
    ),
    (&[("Forwarded", "for=unknown"), ("X-Forwarded-For", "fe80::1%eth0")], true, "neither names anybody"),
    (&[("Forwarded", "for=203.0.113.9"), ("X-Forwarded-For", "")], false, "an empty list names the proxy"),
];

#[tokio::test]
async fn lists_are_read_from_a_trusted_proxy_and_from_nobody_else() {
    for (trusted, is_trusted) in [(r#"["127.0.0.0/8"]"#, true), ("[]", false), (r#"["127.0.0.2"]"#, false)] {
        let server = server(trusted);
        let mut tcp = Tcp::connect(&server, &trusting(&[server.ca()], b"http/1.1")).unwrap();
        let quic = Quic::connect(&server, &trusting(&[server.ca()], b"h3")).await.unwrap();
        for (n, (fields, agrees, why)) in LISTS.iter().enumerate() {
            let [one, other] = ["ada", "bob"].map(|name| format!("{name}{n}@example.com"));
            let expected = if *agrees || !is_trusted { (202, "") } else { (400, "malformed-http") };
            let answers = [tcp.issue(&one, fields), quic.issue(&other, fields).await];
            for answer in &answers {
                assert_eq!(outcome(answer), expected, "{why}, from {trusted}");
            }
        }
    }
}

/// What must not move, name, or change a request, whoever sends it.
const NOT_READ: Fields<'static> = &[
    ("X-Real-IP", "198.51.100.7"),
    ("CF-Connecting-IP", "198.51.100.8"),
    ("True-Client-IP", "198.51.100.9"),
    ("X-Client-IP", "198.51.100.10"),
    ("Fastly-Client-IP", "198.51.100.11"),
    ("X-Forwarded", "for=198.51.100.12"),
    ("Forwarded-For", "198.51.100.13"),
    ("X-Forwarded-Host", "evil.example"),
    ("X-Forwarded-Proto", "http"),
    ("X-Forwarded-Port", "1"),
    ("X-Original-URL", "/healthz"),
    ("X-Rewrite-URL", "/healthz"),
    ("X-Original-Host", "evil.example"),
    ("X-HTTP-Method-Override", "DELETE"),
    ("X-HTTP-Method", "DELETE"),
    ("X-Method-Override", "DELETE"),
    ("Via", "1.1 evil.example"),
];

#[test]
fn no_other_header_names_a_peer_a_path_or_a_method() {
    for trusted in ["[]", r#"["127.0.0.0/8"]"#] {
        let server = server(trusted);
        let mut phone = Tcp::connect(&server, &trusting(&[server.ca()], b"http/1.1")).unwrap();
        // Beside a list that names somebody else: not a third list.
        for fields in [NOT_READ, &[NOT_READ, &[("X-Forwarded-For", "203.0.113.9")]].concat()] {
            let (status, issued) = phone.issue("ada@example.com", fields);
            assert_eq!(status, 202, "{issued}");
            let verification = format!("/v1/verifications/{}", issued["id"].as_str().unwrap());
            let wrong = json!({"code": "0000000000"}).to_string();
            let checked = phone.send("POST", &format!("{verification}/check"), fields, &wrong);
            assert_eq!(outcome(&checked), (422, "malformed-code"), "checked, neither cancelled nor moved");
            let (status, standing) = phone.send("GET", &verification, fields, "");
            assert_eq!((status, &standing["status"]), (200, &json!("pending")), "read, not deleted");
            let elsewhere = [&[("X-Original-URL", verification.as_str())], fields].concat();
            let (status, health) = phone.send("GET", "/healthz", &elsewhere, "");
            assert_eq!((status, health), (200, json!({"status": "ok"})));
        }
    }
}

#[tokio::test]
async fn a_hundred_forged_values_move_nobody() {
    let server = server("[]");
    let mut tcp = Tcp::connect(&server, &trusting(&[server.ca()], b"http/1.1")).unwrap();
    let quic = Quic::connect(&server, &trusting(&[server.ca()], b"h3")).await.unwrap();
    for n in 0..100u8 {
        let value = match n % 6 {
            0 => format!("198.51.100.{n}"),
            1 => format!("10.0.0.{n}, 192.168.0.{n}, 127.0.0.1"),
            2 => format!("fe80::{n}%eth0"),
            3 => format!("[::ffff:198.51.100.{n}]:{n}"),
            4 => "PROXY TCP4 198.51.100.1 10.0.0.1 1 2".to_owned(),
            _ => format!("for=\"198.51.100.{n}"),
        };
        let fields =
            ["X-Forwarded-For", "Forwarded", "X-Real-IP", "CF-Connecting-IP"].map(|name| (name, &*value));
        let [one, other] = ["ada", "bob"].map(|name| format!("{name}{n}@example.com"));
        let answers = [tcp.issue(&one, &fields), quic.issue(&other, &fields).await];
        answers.iter().for_each(|answer| assert_eq!(outcome(answer), (202, ""), "{value}"));
    }
    // A PROXY header before the first packet is garbage to QUIC; who speaks QUIC is served all the same.
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    for garbage in
        [&b"PROXY UDP4 198.51.100.1 127.0.0.1 1 443\r\n"[..], b"\r\n\r\n\0\r\nQUIT\n\x21\x12\0\x0c"]
    {
        socket.send_to(garbage, server.h3()).unwrap();
    }
    let next = Quic::connect(&server, &trusting(&[server.ca()], b"h3")).await.unwrap();
    assert_eq!(next.issue("bob@example.com", &[]).await.0, 202);
}
