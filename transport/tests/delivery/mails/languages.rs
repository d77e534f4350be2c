//! The language a caller names, over HTTP/3 to the mail.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::{Mail, mails_in, read};
use authepy_testkit::NO_LIMITS;
use authepy_testkit::folder::{Folder, authepy, text};
use authepy_testkit::phone::Phone;
use authepy_testkit::{DevServer as Server, PATIENCE};

async fn server() -> (Server, Phone, PathBuf) {
    let server = Server::start(&[&NO_LIMITS[..], &["codes.resend_after=0s"]].concat());
    let phone = Phone::connect(&server).await;
    let outbox = PathBuf::from(server.text("outbox"));
    (server, phone, outbox)
}

/// Issues with each of these members, each to an inbox of its own; returns the mails in the same order.
async fn issued(phone: &Phone, outbox: &std::path::Path, asked: &[Value]) -> Vec<Mail> {
    for (n, members) in asked.iter().enumerate() {
        let mut body = json!({"recipient": format!("ada{n}@example.com")});
        body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        let heard = phone.post("/v1/verifications", &body).await;
        assert_eq!(heard.status, 202, "{body}: {:?}", heard.body);
    }
    let mut mails = mails_in(outbox, asked.len());
    let number =
        |mail: &Mail| mail.to.trim_start_matches("ada").split('@').next().unwrap().parse::<usize>().unwrap();
    mails.sort_by_key(number);
    mails
}

#[tokio::test]
async fn every_language_says_the_same_in_its_own_words() {
    let (_server, phone, outbox) = server().await;
    let asked = [
        ("en-GB", "en", "is your code for dev.", "expires in 5 minutes."),
        ("de-AT", "de", "ist Ihr Code für dev.", "läuft in 5 Minuten ab."),
        ("fr-CA", "fr", "est votre code pour dev.", "expire dans 5 minutes."),
        ("es-MX", "es", "es tu código para dev.", "caduca en 5 minutos."),
        ("pt-BR", "pt-BR", "é o seu código para dev.", "expira em 5 minutos."),
        ("it", "it", "è il tuo codice per dev.", "scade tra 5 minuti."),
        ("nl", "nl", "is je code voor dev.", "verloopt over 5 minuten."),
        ("pl", "pl", "to Twój kod do serwisu dev.", "wygaśnie za 5 minut."),
        ("tr", "tr", "dev için kodunuz.", "5 dakika içinde geçerliliğini yitirir."),
        ("ja-JP", "ja", "は dev の確認コードです。", "有効期限は5分です。"),
        ("zh-Hans-CN", "zh-CN", "是您的 dev 验证码。", "有效期 5 分钟。"),
        ("zh-HK", "zh-TW", "是您的 dev 驗證碼。", "有效時間 5 分鐘。"),
        ("ar-EG", "ar", "هو رمز التحقق الخاص بك في dev.", "خلال 5 دقائق."),
    ];
    let bodies: Vec<Value> = asked.iter().map(|(tag, ..)| json!({"locale": tag})).collect();
    let mails = issued(&phone, &outbox, &bodies).await;
    for (mail, (tag, language, first, lifetime)) in mails.iter().zip(asked) {
        let code = mail.code();
        assert!(mail.first_line().starts_with(code) && mail.first_line().ends_with(first), "{tag}: {mail:?}");
        assert!(mail.text.lines().nth(2).unwrap().ends_with(lifetime), "{tag}: {mail:?}");
        assert!(mail.html.contains(lifetime), "{tag}: {mail:?}");
        assert_eq!(mail.language.as_deref(), Some(language));
        assert!(mail.html.contains(&format!("<html lang=\"{language}\"")), "{mail:?}");
        assert_eq!((&*mail.kind, mail.parts, mail.defects), ("multipart/alternative", 2, 0));
        assert_eq!(mail.headers.len(), 10, "{mail:?}");
        for absent in ["http:", "https:", "<img", "<a ", "src=", "url("] {
            assert!(!mail.html.contains(absent) && !mail.text.contains(absent), "{tag}: {absent}");
        }
        assert!(!mail.text.contains('@'), "no page asked: {mail:?}");
    }
}

#[tokio::test]
async fn minutes_have_the_form_their_number_takes() {
    let (_server, phone, outbox) = server().await;
    let asked = [
        ("en", 60, "1 minute."),
        ("en", 119, "1 minute."),
        ("en", 120, "2 minutes."),
        ("pl", 60, "za 1 minutę."),
        ("pl", 180, "za 3 minuty."),
        ("pl", 300, "za 5 minut."),
        ("ar", 60, "دقيقة واحدة."),
        ("ar", 120, "دقيقتين."),
        ("ar", 600, "10 دقائق."),
        ("ja", 60, "有効期限は1分です。"),
    ];
    let bodies: Vec<Value> =
        asked.iter().map(|(tag, lifetime, _)| json!({"locale": tag, "lifetime": lifetime})).collect();
    for (mail, (tag, lifetime, end)) in issued(&phone, &outbox, &bodies).await.iter().zip(asked) {
        assert!(mail.text.lines().nth(2).unwrap().ends_with(end), "{tag} {lifetime}: {mail:?}");
    }
}

#[tokio::test]
async fn who_asks_for_no_known_language_gets_english_and_never_a_wrong_script() {
    let (_server, phone, outbox) = server().await;
    let asked = [
        (json!({}), "en"),
        (json!({"locale": null}), "en"),
        (json!({"locale": "sv-SE"}), "en"),
        (json!({"locale": "pt"}), "pt-BR"),
        (json!({"locale": "PT-pt"}), "pt-BR"),
        (json!({"locale": "zh"}), "zh-CN"),
        (json!({"locale": "zh-Hant"}), "zh-TW"),
        (json!({"locale": "zh-Latn"}), "en"),
        (json!({"locale": "de-Latn-DE-1996"}), "de"),
    ];
    let bodies: Vec<Value> = asked.iter().map(|(body, _)| body.clone()).collect();
    for (mail, (body, language)) in issued(&phone, &outbox, &bodies).await.iter().zip(asked) {
        assert_eq!(mail.language.as_deref(), Some(language), "{body}");
    }
    for odd in ["d", "de_DE", "de\r\nBcc: eve@x.org", "<b>", "Ｄｅ", ""] {
        let heard =
            phone.post("/v1/verifications", &json!({"recipient": "a@example.com", "locale": odd})).await;
        assert_eq!(heard.code(), (400, "malformed-request"), "{odd:?}");
    }
}

#[tokio::test]
async fn a_resend_speaks_the_language_of_the_issue() {
    let (_server, phone, outbox) = server().await;
    let body = json!({"recipient": "ada@example.com", "locale": "pl"});
    let id = phone.post("/v1/verifications", &body).await.body["id"].as_str().unwrap().to_owned();
    mails_in(&outbox, 1);
    let began = std::time::Instant::now();
    let path = format!("/v1/verifications/{id}/resend");
    // The shard hears of the first hand-over a moment after the mail is in its folder.
    while phone.post(&path, &json!({"recipient": "ada@example.com"})).await.status != 202 {
        assert!(began.elapsed() < PATIENCE);
    }
    let mails = mails_in(&outbox, 2);
    assert_eq!(mails.len(), 2);
    for mail in &mails {
        assert_eq!(mail.language.as_deref(), Some("pl"));
        assert!(mail.first_line().ends_with("to Twój kod do serwisu dev."), "{mail:?}");
    }
    assert_eq!(phone.check(&id, mails[1].code()).await.body["valid"], true);
}

#[tokio::test]
async fn arabic_runs_from_right_to_left_around_a_code_that_does_not() {
    let (_server, phone, outbox) = server().await;
    let mails = issued(&phone, &outbox, &[json!({"locale": "ar"}), json!({"locale": "he"})]).await;
    let code = mails[0].code();
    assert!(mails[0].html.contains("<html lang=\"ar\" dir=\"rtl\">"), "{:?}", mails[0]);
    let isolated = mails[0].html.split("dir=\"ltr\"").nth(1).unwrap().split("</bdi>").next().unwrap();
    assert!(isolated.ends_with(&format!(">{code}")), "{isolated}");
    assert!(mails[1].html.contains("<html lang=\"en\" dir=\"ltr\">"), "{:?}", mails[1]);
}

#[tokio::test]
async fn a_page_gets_the_line_that_fills_the_code_in_and_chooses_no_letter_of_it() {
    let (server, phone, outbox) = server().await;
    let restricted = phone.with_key(server.text("restricted_key"));
    for (n, (origin, line)) in [
        ("https://mybrand.com:8443", "@mybrand.com #"),
        ("https://call-0800-now.mybrand.com", "@mybrand.com #"),
        ("http://localhost:3000", "@localhost #"),
    ]
    .into_iter()
    .enumerate()
    {
        let body = json!({"recipient": format!("ada{n}@example.com"), "locale": "ja", "nonce": "call-0800-a",
            "purpose": "call-0800-b", "metadata": {"call-0800-c": "call-0800-d"}});
        assert_eq!(restricted.with("origin", origin).post("/v1/verifications", &body).await.status, 202);
        let mail = mails_in(&outbox, n + 1).pop().unwrap();
        assert_eq!(mail.last_line(), format!("{line}{}", mail.code()), "{mail:?}");
        assert!(!format!("{mail:?}").contains("0800"), "{mail:?}");
    }
    // A secret key's Origin is never evaluated.
    let body = json!({"recipient": "eve@example.com"});
    assert_eq!(
        phone.with("origin", "https://mybrand.com").post("/v1/verifications", &body).await.status,
        202
    );
    let mail = mails_in(&outbox, 4).pop().unwrap();
    assert!(!mail.text.contains('@') && !mail.text.contains('#'), "{mail:?}");
}

#[test]
fn the_command_line_shows_what_is_sent() {
    let folder = Folder::empty();
    let shown = authepy(&folder, &[], &["mail", "preview", "--locale", "de", "--domain", "mybrand.com"]);
    let lines: Vec<String> = text(&shown.stdout).lines().map(str::to_owned).collect();
    assert_eq!((lines[0].as_str(), lines[1].as_str()), ("Ihr Code lautet 482913", ""), "{shown:?}");
    assert!(lines[2].starts_with("482913 ist Ihr Code für Acme."), "{lines:?}");
    assert_eq!(lines.last().unwrap(), "@mybrand.com #482913");
    for (part, start) in [("--text", "482913 "), ("--html", "<!DOCTYPE html>"), ("--eml", "From: ")] {
        let shown = authepy(&folder, &[], &["mail", "preview", "--project", "Shop", part]);
        let shown = text(&shown.stdout);
        assert!(shown.starts_with(start) && shown.contains("Shop"), "{shown}");
    }
    assert_eq!(authepy(&folder, &[], &["mail", "preview", "--template", "none"]).status.code(), Some(78));

    let made = authepy(&folder, &[], &["mail", "gallery", "--dir", "gallery"]);
    let locales = text(&made.stdout);
    assert_eq!(locales.lines().count(), 13, "{made:?}");
    let path = |locale: &str, kind: &str| PathBuf::from(folder.path(&format!("gallery/{locale}.{kind}")));
    let mails = read(&locales.lines().map(|locale| path(locale, "eml")).collect::<Vec<_>>());
    for (mail, locale) in mails.iter().zip(locales.lines()) {
        assert_eq!((mail.code(), mail.language.as_deref()), ("482913", Some(locale)));
        let written = |kind| std::fs::read_to_string(path(locale, kind)).unwrap();
        assert_eq!((&mail.text, mail.html.trim_end()), (&written("txt"), written("html").trim_end()));
    }
}
