//! HEAD: the fields of an answer, the length of its body, and no body (RFC 9110, 9.3.2).

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use authepy_testkit::phone::{Phone, Wire};
use authepy_testkit::{DevServer, NO_LIMITS, PATIENCE, tcp};

/// What HEAD of these is answered with.
const PAGES: [(&str, u16); 5] = [
    ("/healthz", 200),
    ("/readyz", 200),
    ("/.well-known/jwks.json", 200),
    ("/v1/verifications", 405),
    ("/v1/nothing", 404),
];

#[tokio::test]
async fn no_answer_to_head_has_a_body_on_any_wire() {
    let server = DevServer::start(&NO_LIMITS);
    for wire in Wire::ALL {
        let phone = Phone::over(wire, &server).await;
        for (path, status) in PAGES {
            let (head, get) = (phone.send("HEAD", path, None).await, phone.get(path).await);
            assert_eq!((head.status.as_u16(), head.bytes.len()), (status, 0), "{wire:?} {path}");
            assert_eq!(head.header("content-type"), get.header("content-type"), "{wire:?} {path}");
            if head.status == get.status {
                assert_eq!(head.header("content-length"), get.bytes.len().to_string(), "{wire:?} {path}");
            }
            assert_ne!(head.header("content-length"), "0", "{wire:?} {path}");
            assert_eq!(phone.get("/healthz").await.status, 200, "{wire:?}: the connection goes on");
        }
        let stranger = phone.with_key("nothing");
        let refused = stranger.send("HEAD", "/v1/verifications", None).await;
        assert_eq!((refused.status.as_u16(), refused.bytes.len()), (401, 0), "{wire:?}");
        // Too many fields, of a head whose method was read.
        let mut many = phone.clone();
        many.headers.extend((0..80).map(|n| (format!("x-{n}"), "1".to_owned())));
        let refused = many.send("HEAD", "/healthz", None).await;
        assert_eq!((refused.status.as_u16(), refused.bytes.len()), (431, 0), "{wire:?}");
    }
}

#[tokio::test]
async fn http1_sends_not_one_byte_behind_the_fields() {
    let server = DevServer::start(&NO_LIMITS);
    for path in ["/healthz", "/v1/verifications"] {
        let mut line = tcp::connect(&server, &["http/1.1"]).await;
        let request = format!("HEAD {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        line.write_all(request.as_bytes()).await.unwrap();
        let mut heard = Vec::new();
        let _ended = tokio::time::timeout(PATIENCE, line.read_to_end(&mut heard)).await.unwrap();
        let heard = String::from_utf8(heard).unwrap();
        assert!(heard.contains("content-length: ") && heard.ends_with("\r\n\r\n"), "{heard}");
        assert_eq!(heard.matches("\r\n\r\n").count(), 1, "{heard}");
    }
}
