//! The operator's own templates: per project, judged before they act, swapped while serving.

use std::path::PathBuf;

use serde_json::json;

use super::mails_in;
use authepy_testkit::DevServer as Server;
use authepy_testkit::client::{Tcp, trusting};
use authepy_testkit::folder::{Folder, NOT_TAKEN, Pair, TAKEN, authepy, text};
use authepy_testkit::phone::Phone;

/// Writes files of the template folder, and names it as a setting.
fn write(folder: &Folder, files: &[(&str, &str)]) -> String {
    for (name, content) in files {
        let path = PathBuf::from(folder.path("templates")).join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    format!("templates.dir=\"{}\"", folder.path("templates"))
}

const OURS: &str = "locale = 'de'\n[de]\nsubject = 'Acme-Code {code}'\nfirst = '{code} öffnet die Tür.'\n\
     [en]\nfirst = '{code} opens the door.'\nminutes.one = 'a single minute'\n";

#[tokio::test]
async fn a_project_has_its_own_words_and_a_secret_key_names_a_template() {
    let folder = Folder::empty();
    let setting = write(
        &folder,
        &[
            ("dev/default.toml", OURS),
            ("dev/welcome.txt", "{{ s.first }} Welcome to {{ project }}!\n"),
            ("default/plain.html", "<p dir=\"{{ dir }}\">{{ code }}</p>"),
            ("elsewhere/secret.txt", "{{ s.first }}"),
            ("default/.hidden", "\u{0}"),
        ],
    );
    let server = Server::start(&[&setting, "codes.resend_after=0s", "limits.recipient.issue=off"]);
    let phone = Phone::connect(&server).await;
    let outbox = PathBuf::from(server.text("outbox"));
    let mut count = 0;
    let mut mailed = async |members: serde_json::Value| {
        let mut body = json!({"recipient": format!("ada{count}@example.com")});
        body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        let heard = phone.post("/v1/verifications", &body).await;
        assert_eq!(heard.status, 202, "{:?}", heard.body);
        count += 1;
        mails_in(&outbox, count).pop().unwrap()
    };
    let mail = mailed(json!({})).await;
    assert_eq!(mail.subject, format!("Acme-Code {}", mail.code()), "the project's own language");
    assert_eq!(
        (mail.first_line(), mail.language.as_deref()),
        (&*format!("{} öffnet die Tür.", mail.code()), Some("de"))
    );
    let mail = mailed(json!({"locale": "en", "lifetime": 60})).await;
    assert_eq!(mail.subject, format!("Your code is {}", mail.code()), "what is not replaced is as embedded");
    assert!(
        mail.text.contains("opens the door.") && mail.text.contains("expires in a single minute."),
        "{mail:?}"
    );
    assert_eq!(mailed(json!({"locale": "fr"})).await.language.as_deref(), Some("fr"));
    let mail = mailed(json!({"locale": "en", "template": "welcome"})).await;
    assert_eq!(mail.text, format!("{} opens the door. Welcome to dev!\n", mail.code()));
    let mail = mailed(json!({"locale": "ar", "template": "plain"})).await;
    assert_eq!(mail.html.trim_end(), format!("<p dir=\"rtl\">{}</p>", mail.code()));

    for unknown in ["secret", "none", "", "../dev/welcome", "welcome.txt", "Default"] {
        let body = json!({"recipient": "eve@example.com", "template": unknown});
        assert_eq!(
            phone.post("/v1/verifications", &body).await.code(),
            (400, "malformed-request"),
            "{unknown}"
        );
    }
    let body = json!({"recipient": "eve@example.com", "template": "welcome"});
    let page = phone.as_page(&server);
    assert_eq!(page.post("/v1/verifications", &body).await.code(), (403, "key-class-forbidden"));
}

#[tokio::test]
async fn a_resend_wears_the_template_of_the_issue() {
    let folder = Folder::empty();
    let setting = write(&folder, &[("dev/welcome.txt", "{{ code }}: welcome to {{ project }}!\n")]);
    let server = Server::start(&[&setting, "codes.resend_after=0s"]);
    let (phone, outbox) = (Phone::connect(&server).await, PathBuf::from(server.text("outbox")));
    let body = json!({"recipient": "ada@example.com", "template": "welcome"});
    let id = phone.post("/v1/verifications", &body).await.body["id"].as_str().unwrap().to_owned();
    mails_in(&outbox, 1);
    let (began, path) = (std::time::Instant::now(), format!("/v1/verifications/{id}/resend"));
    while phone.post(&path, &json!({"recipient": "ada@example.com"})).await.status != 202 {
        assert!(began.elapsed() < super::PATIENCE);
    }
    for mail in mails_in(&outbox, 2) {
        assert_eq!(mail.text, format!("{}: welcome to dev!\n", mail.code()));
    }
}

#[test]
fn a_broken_template_is_refused_before_a_start_with_its_place() {
    let folder = Folder::with_store();
    folder.install(&Pair::make());
    let setting = write(&folder, &[("shop/default.txt", "{{ code }}\n")]);
    folder.write("authepy.toml", &folder.config(&setting));
    assert_eq!(text(&authepy(&folder, &[], &["config", "check"]).stdout), "ok");
    let long = "x".repeat(70_000);
    for (file, content, place) in [
        ("shop/default.txt", "Hello {{ project }}", "shop: default: en: text: has no code in its first line"),
        ("shop/default.txt", "Hello\n{{ code }}", "shop: default: en: text: "),
        ("shop/default.txt", "{{ code }}{% if x %}", "shop: default: text: "),
        (
            "shop/default.txt",
            "{{ code }} {{ recipient }}",
            "shop: default: en: text: undefined value, line 1",
        ),
        ("shop/default.txt", "{{ code }} {{ s.greeting }}", "shop: default: en: text: undefined value"),
        ("shop/default.txt", "{% include '/etc/passwd' %}", "shop: default: text: "),
        (
            "shop/default.txt",
            "{{ code }}\n{% for a in [1,2,3,4,5,6,7,8,9] %}{% for b in [1,2,3,4,5,6,7,8,9] %}{% for c in [1,2,3,4,5,6,7,8,9] %}{% for d in [1,2,3,4,5,6,7,8,9] %}{% endfor %}{% endfor %}{% endfor %}{% endfor %}",
            "engine ran out of fuel",
        ),
        ("shop/default.txt", &long, "shop: default.txt: is over 65536 bytes"),
        ("shop/default.html", "<p>Hello</p>", "html: does not hold the code"),
        ("shop/default.html", "{{ code }}<img src='https://t.example/{{ code }}'>", "html: holds"),
        ("shop/default.html", "{{ code }}<A HREF = 'x'>", "html: holds \"href=\""),
        (
            "shop/default.toml",
            "[en]\nsubject = 'Hello'",
            "shop: default: en: subject: does not end with the code",
        ),
        (
            "shop/default.toml",
            "[en]\nsubject = \"a\\r\\nBcc: eve@x.org {code}\"",
            "en: subject: must be one line",
        ),
        ("shop/default.toml", "[en]\nsubject = '{recipient} {code}'", "braces hold code, project or minutes"),
        ("shop/default.toml", "[sv]\nsubject = '{code}'", "sv: is not one of the supported languages"),
        ("shop/default.toml", "locale = 'sv'", "locale: is not one of the supported languages"),
        ("shop/default.toml", "[en", "shop: default.toml: "),
        ("shop/default.toml", "[en]\nminutes.some = 'x'", "minutes.some: is no category of numbers"),
        ("shop/Welcome.txt", "{{ code }}", "shop: Welcome.txt: the file's name may hold only"),
        ("shop/welcome.mjml", "{{ code }}", "shop: welcome.mjml: is neither .txt nor .html nor .toml"),
        ("stray.txt", "{{ code }}", "stray.txt: is no folder of a project"),
    ] {
        write(&folder, &[(file, content)]);
        let refused = authepy(&folder, &[], &["config", "check"]);
        let why = text(&refused.stderr);
        assert_eq!(refused.status.code(), Some(78), "{file}: {content}: {why}");
        assert!(why.starts_with("templates.dir: ") && why.contains(place), "{file}: {content}: {why}");
        std::fs::remove_file(PathBuf::from(folder.path("templates")).join(file)).unwrap();
    }
    std::os::unix::fs::symlink("/etc/passwd", folder.path("templates/shop/default.txt")).unwrap();
    let why = text(&authepy(&folder, &[], &["config", "check"]).stderr);
    assert_eq!(why, "templates.dir: shop: default.txt: leads out of the folder");
    let serve = authepy(&folder, &[], &["serve", "--config", "authepy.toml"]);
    assert_eq!(serve.status.code(), Some(78), "{serve:?}");
    std::fs::remove_dir_all(folder.path("templates")).unwrap();
    let why = text(&authepy(&folder, &[], &["config", "check"]).stderr);
    assert_eq!(why, "templates.dir: can't be read: entity not found");
}

#[tokio::test]
async fn a_template_that_breaks_at_work_costs_the_recipient_nothing() {
    let folder = Folder::empty();
    let samples_only = "{% if code == '482913' or code == '9081726354' %}{{ code }}{% endif %}\n";
    let setting = write(&folder, &[("dev/default.txt", samples_only)]);
    let server = Server::start(&[&setting]);
    let (phone, outbox) = (Phone::connect(&server).await, PathBuf::from(server.text("outbox")));
    for n in 1..=3 {
        phone.issue(&format!("ada{n}@example.com")).await;
        let mail = mails_in(&outbox, n).pop().unwrap();
        assert_eq!(mail.first_line(), format!("{} is your code for dev.", mail.code()));
    }
    server.log_says("a mail template failed", 1);
    assert_eq!(server.log().matches("a mail template failed").count(), 1, "{}", server.log());
}

#[test]
fn sighup_swaps_templates_whole_or_not_at_all() {
    let (folder, pair) = (Folder::with_store(), Pair::make());
    folder.install(&pair);
    let setting = write(&folder, &[("dev/default.txt", "{{ code }} is the first.\n")]);
    folder.write("authepy.toml", &folder.config(&setting));
    let server = folder.serve();
    let mut phone = Tcp::connect(&server, &trusting(&[pair.der], b"http/1.1")).unwrap();
    let outbox = PathBuf::from(folder.path("outbox"));
    let mut count = 0;
    let mut text = |phone: &mut Tcp| {
        assert_eq!(phone.issue(&format!("ada{count}@gmail.com"), &[]).0, 202);
        count += 1;
        mails_in(&outbox, count).pop().unwrap().text
    };
    assert!(text(&mut phone).ends_with(" is the first.\n"));

    write(&folder, &[("dev/default.txt", "{{ code }} is the second.\n")]);
    server.reload(TAKEN, 1);
    assert!(text(&mut phone).ends_with(" is the second.\n"));

    write(&folder, &[("dev/default.txt", "{{ code }} is the third.\n"), ("dev/other.txt", "no code")]);
    server.reload(NOT_TAKEN, 1);
    assert!(text(&mut phone).ends_with(" is the second.\n"), "one broken file keeps all as it was");

    folder.write("authepy.toml", &folder.config(""));
    server.reload(TAKEN, 2);
    assert!(text(&mut phone).contains(" is your code for dev.\n"));
}
