//! A certificate whose time is over, or nearly: the log says so, phones turn away by themselves, and a new pair acts
//! without a restart.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use quinn::crypto::rustls::QuicClientConfig;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use tempfile::TempDir;

use authepy_testkit::canary::Canary;
use authepy_testkit::operator::new_key;
use authepy_testkit::phone::{Phone, client_config};
use authepy_testkit::serve::{Served, Site};

const REPLACED: &str = "the certificate was replaced";
const EXPIRED: &str = "the certificate has expired";
const ENDS_SOON: &str = "the certificate ends soon";
const NOT_YET: &str = "the certificate is not valid yet";

/// How long pairs are good for, from today.
const LONG: i32 = 90;
const NOT_LONG: i32 = 5;
const OVER: i32 = -1;

/// Writes a pair for `localhost` that is good for so many days, and some hours more.
fn install(site: &Site, days: i32) {
    install_from(site, -30, days);
}

/// As [`install`], not before so many days from now.
fn install_from(site: &Site, begin: i32, days: i32) {
    let mut made = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let hours = Duration::from_secs(3_600);
    let today = rcgen::date_time_ymd(1970, 1, 1) + since_1970;
    let on = |day: i32| match u32::try_from(day) {
        Ok(days) => today + (24 * days + 6) * hours,
        Err(_) => today - 24 * day.unsigned_abs() * hours,
    };
    (made.not_before, made.not_after) = (on(begin), on(days));
    let key = rcgen::KeyPair::generate().unwrap();
    std::fs::write(site.path("cert.pem"), made.self_signed(&key).unwrap().pem()).unwrap();
    std::fs::write(site.path("key.pem"), key.serialize_pem()).unwrap();
}

/// What a phone that looks at the date says.
async fn refusal(server: &Served) -> String {
    let mut endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    endpoint.set_default_client_config(client_config(server));
    endpoint.connect(server.h3(), "localhost").unwrap().await.unwrap_err().to_string()
}

/// A phone that does not look at the date, or at anything.
async fn blind(server: &Served, key: &str) -> Phone {
    let mut tls = rustls::ClientConfig::builder()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"h3".to_vec()];
    let mut endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    let quic = QuicClientConfig::try_from(tls).unwrap();
    endpoint.set_default_client_config(quinn::ClientConfig::new(Arc::new(quic)));
    let connection = endpoint.connect(server.h3(), "localhost").unwrap().await.unwrap();
    Phone::on_quic(server, endpoint, connection).await.with_key(key)
}

#[tokio::test]
async fn an_expired_certificate_is_told_of_and_shown_until_there_is_another() {
    let folder = TempDir::new().unwrap();
    let store = Site::sqlite(&folder);
    let key = new_key(&store, "shop", &["--class", "secret", "--test"])["key"].as_str().unwrap().to_owned();
    let site = Site::new(&store, &format!("limits.recipient.issue = \"off\"\n{}", Site::outbox(&folder)));
    install(&site, OVER);
    let server = site.serve();
    server.log_says(EXPIRED, 1);
    assert!(refusal(&server).await.contains("certificate expired"));
    let old = blind(&server, &key).await;
    let id = old.issue("ada@gmail.com").await;

    install(&server.site, LONG);
    server.reload(REPLACED, 1);
    let canary = Canary::without_mail(&server, &key, "renewed").await;
    canary.beside(async { assert_eq!(old.check(&id, "000000").await.body["valid"], true) }).await;

    // And the other way round, beside a phone that is in already.
    canary
        .beside(async {
            install(&server.site, OVER);
            server.reload(REPLACED, 2);
            server.log_says(EXPIRED, 2);
            assert!(refusal(&server).await.contains("certificate expired"));
        })
        .await;

    // In time, and only of one that ends.
    assert!(!server.log().contains(ENDS_SOON), "{}", server.log());
    install(&server.site, NOT_LONG);
    server.log_says(ENDS_SOON, 1);
    assert!(server.log().contains("\"days\":5"), "{}", server.log());
    assert_eq!(server.log().matches(EXPIRED).count(), 2);

    // Too early is as bad as too late.
    assert!(!server.log().contains(NOT_YET), "{}", server.log());
    install_from(&server.site, 1, LONG);
    server.log_says(NOT_YET, 1);
    assert!(refusal(&server).await.contains("not valid yet"));
}

/// Believes anybody.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let provider = aws_lc_rs::default_provider();
        verify_tls12_signature(message, certificate, signature, &provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let provider = aws_lc_rs::default_provider();
        verify_tls13_signature(message, certificate, signature, &provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
