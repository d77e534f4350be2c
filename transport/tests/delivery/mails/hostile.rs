//! Whatever names and domains hold, a mail has the header lines it has and no other.

use std::sync::LazyLock;
use std::time::Duration;

use authepy_engine::clock::Moment;
use authepy_engine::code::Code;
use authepy_engine::identity::Mode;
use authepy_engine::request::MailForm;
use authepy_engine::route::{IdDigest, StartKeys};
use authepy_engine::testing::Seeded;
use authepy_transport::delivery::{
    Awaited, CodeMail, Content, MailJob, Notice, Preview, TemplateFault, Templates,
};
use proptest::prelude::*;

static TEMPLATES: LazyLock<Result<Templates, TemplateFault>> = LazyLock::new(|| Templates::load(None, None));

fn keys() -> StartKeys {
    StartKeys::draw(&mut Seeded::new(3))
}

fn composed(content: Content) -> (Preview, String) {
    let job = MailJob { to: "ada@example.com".into(), content, expires: Moment::from_millis(1_000) };
    let mail = Preview::of(&job, "Acme <codes@mail.example>", &keys(), 0).unwrap();
    let raw = String::from_utf8(mail.eml.to_vec()).unwrap();
    (mail, raw)
}

/// The names of the header lines, folded lines left out.
fn names(raw: &str) -> Vec<&str> {
    let (head, _) = raw.split_once("\r\n\r\n").unwrap();
    assert!(!head.replace("\r\n", "").contains(['\r', '\n']), "{head:?}");
    assert!(head.split("\r\n").all(|line| line.len() <= 998 && line.is_ascii()), "{head:?}");
    head.split("\r\n")
        .filter(|line| !line.starts_with([' ', '\t']))
        .map(|line| line.split(':').next().unwrap())
        .collect()
}

fn nasty() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("\r\nBcc: eve@x.org\r\n"),
        Just("\n\n<script>"),
        Just("=?utf-8?q?=0D=0ABcc:?="),
        Just("\u{2028}\u{202e}\u{0}\u{85}"),
        Just("{{ code }}{% include 'x' %}{project}"),
        Just("\"><b>&amp;"),
        Just("漢字 é 🦀"),
    ];
    prop::collection::vec(prop_oneof![piece.prop_map(str::to_owned), any::<String>()], 0..6)
        .prop_map(|all| all.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn no_name_and_no_domain_adds_a_line_or_moves_the_code(
        project in nasty(), domain in nasty(), locale in 0u8..=16, lifetime in 0u64..700,
    ) {
        let id = keys().fingerprint("ada", Mode::Live);
        let content = Content::Code(CodeMail {
            code: Code::read("482913").unwrap(),
            project: project.as_str().into(),
            wording: TEMPLATES.as_ref().unwrap().wording(&project, MailForm { locale, template: 0 }),
            domain: Some(domain.into()),
            lifetime: Duration::from_secs(lifetime),
            awaited: Awaited { id: IdDigest::from_bytes(*id.as_bytes()), route: id.route(), send: 1 },
        });
        let (mail, raw) = composed(content);
        prop_assert_eq!(names(&raw), [
            "From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "X-Auto-Response-Suppress",
            "Content-Language", "MIME-Version", "Content-Type",
        ]);
        prop_assert!(mail.subject.ends_with(" 482913"));
        prop_assert!(mail.text.lines().next().unwrap().contains("482913"));
        prop_assert!(!mail.html.contains("<script>") && !mail.html.contains("<b>"));
    }

    #[test]
    fn no_notice_adds_a_line(subject in nasty(), text in nasty()) {
        let notice = Notice { subject: subject.into(), text: text.into(), token: [7; 16] };
        let (_, raw) = composed(Content::Notice(notice));
        prop_assert_eq!(names(&raw).len(), 10);
        prop_assert!(!names(&raw).contains(&"Bcc"));
    }
}
