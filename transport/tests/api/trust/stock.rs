//! Receipts as backends check them: by `jose` and `PyJWT`, fetched from their registries, fed with the public key set
//! and nothing else.

use serde_json::{Value, json};

use super::{encode, live_receipt, part, test_receipt};
use authepy_testkit::DevServer;
use authepy_testkit::phone::Phone;
use authepy_testkit::script::{report, report_of_node};

/// A library, and what it calls a key that it does not know, a signature that is not right, and an algorithm that
/// it does not take.
struct Library {
    judge: fn(&DevServer, &Value) -> Value,
    unknown_key: &'static [&'static str],
    bad_signature: &'static [&'static str],
    bad_algorithm: &'static [&'static str],
}

const LIBRARIES: [Library; 2] = [
    Library {
        judge: |server, asked| report_of_node("receipts_jose.mjs", server, &[&asked.to_string()]),
        unknown_key: &["ERR_JWKS_NO_MATCHING_KEY"],
        bad_signature: &["ERR_JWS_SIGNATURE_VERIFICATION_FAILED"],
        bad_algorithm: &["ERR_JOSE_NOT_SUPPORTED"],
    },
    Library {
        judge: |server, asked| report("receipts_pyjwt.py", server, &[&asked.to_string()]),
        unknown_key: &["PyJWKClientError"],
        bad_signature: &["InvalidSignatureError"],
        bad_algorithm: &["InvalidAlgorithmError"],
    },
];

/// Everything an attacker can do to a receipt without the live key.
fn forgeries(live: &str, test: &str, live_set: &Value) -> Value {
    let kid = &part(live, 0)["kid"];
    let of = |receipt: &str| receipt.split('.').map(str::to_owned).collect::<Vec<_>>();
    let ([live_head, _, live_seal], [_, test_claims, test_seal]) = (&of(live)[..], &of(test)[..]) else {
        panic!("three parts")
    };
    let none = encode(&json!({"alg": "none", "typ": "JWT", "kid": kid}));
    // The public key as the secret of a MAC: what a library does that believes the header.
    let hs256 = encode(&json!({"alg": "HS256", "typ": "JWT", "kid": kid}));
    let signed = format!("{hs256}.{test_claims}");
    let public = live_set["keys"][0]["x"].as_str().unwrap();
    let secret = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, public.as_bytes());
    let mac = aws_lc_rs::hmac::sign(&secret, signed.as_bytes());
    let mac = base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, mac.as_ref());
    json!({
        "test": test,
        "renamed": format!("{live_head}.{test_claims}.{test_seal}"),
        "resealed": format!("{live_head}.{test_claims}.{live_seal}"),
        "none": format!("{none}.{test_claims}."),
        "confused": format!("{signed}.{mac}"),
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stock_libraries_believe_live_receipts_and_nothing_else() {
    let server = DevServer::start(&[]);
    let backend = Phone::connect(&server).await;
    let page = backend.as_page(&server);
    let live = live_receipt(&server, &page, "Ada.L@MAIL.example.com").await;
    let test = test_receipt(&page.with_key(server.text("restricted_test_key")), "ceo@victim.com").await;
    let sets = [
        backend.get("/.well-known/jwks.json").await.body,
        backend.get("/.well-known/jwks-test.json").await.body,
    ];

    for library in LIBRARIES {
        let mut receipts = forgeries(&live, &test, &sets[0]);
        receipts["live"] = json!(live);
        let asked = json!({"set": "/.well-known/jwks.json", "receipts": receipts});
        let verdicts = (library.judge)(&server, &asked);
        let believed = &verdicts["live"];
        let expected = json!({"email": "Ada.L@mail.example.com", "email_verified": true, "mode": "live",
            "iss": "authepy", "aud": "dev", "amr": ["otp"], "purpose": "verification"});
        for (claim, value) in expected.as_object().unwrap() {
            assert_eq!(&believed[claim], value, "{claim} in {verdicts}");
        }
        for (name, errors) in [
            ("test", library.unknown_key),
            ("renamed", library.bad_signature),
            ("resealed", library.bad_signature),
            ("none", library.bad_algorithm),
            ("confused", library.bad_algorithm),
        ] {
            let verdict =
                verdicts[name].as_str().unwrap_or_else(|| panic!("{name} was believed: {verdicts}"));
            assert!(errors.contains(&verdict), "{name}: {verdict}");
        }

        // Whoever fetches the set of test keys gets what the name says.
        let asked = json!({"set": "/.well-known/jwks-test.json", "receipts": {"live": live, "test": test}});
        let verdicts = (library.judge)(&server, &asked);
        assert_eq!(
            (&verdicts["test"]["mode"], &verdicts["test"]["email"]),
            (&json!("test"), &json!("ceo@victim.com"))
        );
        assert!(library.unknown_key.contains(&verdicts["live"].as_str().unwrap()), "{verdicts}");
    }
}
