//! `authepy config check` and `config print`: what an operator runs before a start.

use authepy_testkit::folder::{Folder, Pair, authepy, text};
use serde_json::{Value, json};

/// An admin token that is strong enough, and marked so that it is found where it should not be.
const STRONG: &str = "s3cret-0f1e2d3c4b5a69788796a5b4c3d2e1f0";

/// A folder whose `authepy.toml` a start would take, and that text.
fn good() -> (Folder, String) {
    let folder = Folder::with_store();
    folder.install(&Pair::make());
    let config = folder.config("");
    folder.write("authepy.toml", &config);
    (folder, config)
}

#[test]
fn check_says_ok_or_which_setting_is_wrong() {
    let (folder, config) = good();
    let output = authepy(&folder, &[], &["config", "check"]);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), "ok".into()), "{output:?}");
    assert_eq!(text(&output.stderr), "");

    folder.write("other.pem", &Pair::make().key);
    folder.write("empty", "\n");
    let other_key = format!("tls.key=\"{}\"", folder.path("other.pem"));
    let empty = format!("admin.token_file=\"{}\"", folder.path("empty"));
    let receipts = format!("receipts.key_file=\"{}\"", folder.path("empty"));
    let provider = |more: &str| {
        format!(
            "delivery=[{{name='a', kind='smtp', url='smtps://ada:s3cret@mail.example', from='a@b.example'{more}}}]"
        )
    };
    for (setting, fault) in [
        ("tls.cert=\"\"", "tls.cert: needed to serve"),
        ("tls.key=\"/nowhere\"", "tls.key: the file can't be read: entity not found"),
        (&other_key, "tls.cert and tls.key: they don't belong together"),
        ("store.url=mysql://ada:s3cret@db.example", "store.url: sqlite://FILE or postgres://…"),
        ("store.url=file:/nowhere", "store.url: sqlite://FILE or postgres://…"),
        ("delivery=[]", "delivery: at least one way out for mail"),
        (
            &provider(", ca_file='/nowhere'"),
            "delivery[0]: delivery provider `a`: can't read `ca_file` /nowhere: entity not found",
        ),
        (
            &provider(", password_file='/nowhere'"),
            "delivery[0]: delivery provider `a`: can't read `password_file` /nowhere: entity not found",
        ),
        (
            &provider(", password='s3cret'"),
            "delivery[0]: delivery provider `a`: give one username and one password, in the URL or beside it",
        ),
        (&receipts, "receipts.key_file: not a PKCS#8 PEM file"),
        (
            "recipients.families=[{domains=['corp.example', 'not a domain']}]",
            "recipients.families[0].domains[1]: no domain",
        ),
        ("recipients.families=[{domains=[]}]", "recipients.families[0]: names no domain"),
        ("recipients.relays=s3cret", "recipients.relays: allow or refuse"),
        ("receipts.key_file=/nowhere", "receipts.key_file: can't be read: entity not found"),
        ("admin.token_file=/nowhere", "admin.token_file: can't be read: entity not found"),
        (&empty, "admin.token_file: the file is empty"),
        (
            "catalog.extra=['throwaway.example', '*.throwaway.example']",
            "catalog.extra[1]: no domain, or a public suffix",
        ),
        ("catalog.extra=['co.uk']", "catalog.extra[0]: no domain, or a public suffix"),
        ("catalog.allow=['not a domain']", "catalog.allow[0]: no domain"),
        (
            "proxy.trusted=['10.0.0.1/8']",
            "proxy.trusted[0]: the block has host bits set; write 192.0.2.0/24 or 192.0.2.1/32",
        ),
        ("alerts.to=['nobody']", "alerts.to[0]: not a mail address"),
        ("limits.peers.issue=off", "unknown setting limits.peers.issue; did you mean limits.peer.issue?"),
        ("codes.attempts=s3cret", "codes.attempts: expected a whole number from 0 to 255"),
    ] {
        let output = authepy(&folder, &[], &["config", "check", "--set", setting]);
        let said = (output.status.code(), text(&output.stdout), text(&output.stderr));
        assert_eq!(said, (Some(78), String::new(), fault.into()), "{setting}");
        let output = authepy(&folder, &[], &["config", "check", "--json", "--set", setting]);
        assert_eq!(output.status.code(), Some(78));
        let said: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(said, json!({"ok": false, "fault": fault}));
    }
    // What check refuses, a start refuses; and the other way round (the tests that start it).
    folder.write("authepy.toml", &format!("{config}codes.length = 5\n"));
    let output = authepy(&folder, &[], &["serve"]);
    assert_eq!(
        (output.status.code(), text(&output.stderr)),
        (Some(78), "codes.length: 6 to 10 digits".into())
    );
}

/// However it is set, and by `serve` as by `check`.
#[test]
fn a_weak_admin_token_is_refused_with_what_to_do() {
    let (folder, config) = good();
    let advice = "too weak: at least 32 hexadecimal or 22 base64url characters (A-Z a-z 0-9 - _), 8 of them \
                  different; `openssl rand -hex 32` makes one, and `authepy admin-token create` one that stands in \
                  the store";
    let refused = |variables: &[(&str, &str)], more: &[&str], key: &str| {
        for command in [&["config", "check"][..], &["serve"]] {
            let output = authepy(&folder, variables, &[command, more].concat());
            assert_eq!(
                (output.status.code(), text(&output.stdout)),
                (Some(78), String::new()),
                "{command:?}"
            );
            // A start warns of other things before.
            let told = text(&output.stderr);
            assert_eq!(told.lines().last(), Some(&*format!("{key}: {advice}")), "{command:?}");
        }
    };
    let weak = ["a", "s3cret", "0123456789abcdef0123456789abcde", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"];
    for weak in weak {
        refused(&[("AUTHEPY_ADMIN__TOKEN", weak)], &[], "admin.token");
        refused(&[], &["--set", &format!("admin.token={weak}")], "admin.token");
        folder.write("token", &format!("{weak}\n"));
        folder.write("authepy.toml", &format!("{config}admin.token_file = \"{}\"\n", folder.path("token")));
        refused(&[], &[], "admin.token_file");
        folder.write("authepy.toml", &config);
    }
    for strong in ["0123456789abcdef0123456789abcdef", "abcdefghijklmnopqrst-_", STRONG] {
        let output = authepy(&folder, &[("AUTHEPY_ADMIN__TOKEN", strong)], &["config", "check"]);
        assert_eq!(output.status.code(), Some(0), "{strong}: {output:?}");
        folder.write("token", &format!("  {strong}\n"));
        let file = format!("admin.token_file={}", folder.path("token"));
        let output = authepy(&folder, &[], &["config", "check", "--set", &file]);
        assert_eq!(output.status.code(), Some(0), "{strong}: {output:?}");
    }
}

#[test]
fn the_default_file_may_be_missing_and_a_named_one_may_not() {
    let folder = Folder::empty();
    let output = authepy(&folder, &[], &["config", "print", "--json"]);
    assert_eq!(output.status.code(), Some(0));
    let defaults: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(defaults["codes"]["length"], 6);
    for command in [["config", "print"], ["config", "check"]] {
        let named = authepy(&folder, &[], &[&command[..], &["--config", "authepy.toml"]].concat());
        let fault = "authepy.toml: can't be read: entity not found";
        assert_eq!((named.status.code(), text(&named.stderr)), (Some(78), fault.into()));
    }
    let output = authepy(&folder, &[], &["serve"]);
    let fault = "tls.cert and tls.key: both are needed to serve";
    assert_eq!(
        (output.status.code(), text(&output.stderr)),
        (Some(78), fault.into()),
        "no file, but a start"
    );
    folder.write("authepy.toml", "[codes]\nlength = s3cret\n");
    let output = authepy(&folder, &[], &["config", "print"]);
    let fault = text(&output.stderr);
    assert_eq!(output.status.code(), Some(78));
    assert!(fault.starts_with("authepy.toml: line 2 is not TOML") && !fault.contains("s3cret"), "{fault}");
}

#[test]
fn print_shows_all_four_layers_and_no_secret() {
    let folder = Folder::empty();
    folder.write(
        "authepy.toml",
        "store.url = 'postgres://ada:s3cret@db.example/authepy?sslmode=require'\n\
         [codes]\nlength = 7\nattempts = 3\nsends = 2\n\
         [[delivery]]\nname = 'relay'\nkind = 'smtp'\nurl = 'smtps://ada:s3cret@mail.example'\nfrom = 'a@acme.example'\n\
         [[delivery]]\nname = 'second'\nkind = 'smtp'\nurl = 'smtps://mail.example'\nfrom = 'a@acme.example'\n\
         username = 'ada'\npassword = 's3cret'\n",
    );
    let variables =
        [("AUTHEPY_ADMIN__TOKEN", "s3cret"), ("AUTHEPY_CODES__ATTEMPTS", "4"), ("AUTHEPY_CODES__SENDS", "4")];
    let arguments = ["--set", "codes.sends=3", "--set", "proxy.trusted=['10.0.0.0/8']"];
    let print = |json: &[&str]| {
        let output = authepy(&folder, &variables, &[&["config", "print"], &arguments[..], json].concat());
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert!(!text(&output.stdout).contains("s3cret") && !text(&output.stderr).contains("s3cret"));
        text(&output.stdout)
    };
    let printed = print(&[]);
    let json: Value = serde_json::from_str(&print(&["--json"])).unwrap();
    assert_eq!(toml::from_str::<Value>(&printed).unwrap(), json, "the same settings");
    let codes = &json["codes"];
    assert_eq!([&codes["length"], &codes["attempts"], &codes["sends"]], [7, 4, 3]);
    assert_eq!(codes["lifetime"], "300s", "a default");
    assert_eq!(json["admin"]["token"], "***");
    assert_eq!(json["store"]["url"], "postgres://***@db.example/authepy?sslmode=require");
    assert_eq!(json["delivery"][0]["url"], "smtps://***@mail.example");
    assert_eq!(json["delivery"][1]["password"], "***");
    assert_eq!(json["proxy"]["trusted"], json!(["10.0.0.0/8"]));

    // Without its secrets it is a config again.
    folder.write("again.toml", &printed);
    let arguments = ["config", "print", "--json", "--config", &folder.path("again.toml")];
    let output = authepy(&folder, &[], &arguments);
    assert_eq!(serde_json::from_slice::<Value>(&output.stdout).unwrap(), json);
}

#[test]
fn a_secret_that_others_can_read_is_told_of_by_check_and_at_the_start() {
    let (folder, config) = good();
    let key = std::fs::read_to_string(folder.path("key.pem")).unwrap();
    folder.write_with_mode("key.pem", &key, 0o644);
    folder.write_with_mode("token", &format!("{STRONG}\n"), 0o604);
    folder.write_with_mode("authepy.toml", &format!("{config}admin.token_file = \"token\"\n"), 0o644);
    let open = "holds a secret and is open to every user of this machine; chmod o= it";
    let token = format!("admin.token_file: {open}");
    let expected = [format!("tls.key: {open}"), token.clone()];
    let output = authepy(&folder, &[], &["config", "check", "--json"]);
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(said, json!({"ok": true, "warnings": expected}), "the config itself holds none");
    let output = authepy(&folder, &[], &["config", "check"]);
    assert_eq!(text(&output.stdout), "ok");
    assert_eq!(text(&output.stderr), expected.map(|line| format!("warning: {line}")).join("\n"));

    // Secrets in the file itself, and in the process list; a key that misses its second underscore.
    folder.write_with_mode("authepy.toml", &format!("{config}admin.token = \"{STRONG}\"\n"), 0o644);
    folder.write_with_mode("key.pem", &key, 0o640);
    let token = format!("admin.token={STRONG}");
    let arguments = ["config", "check", "--json", "--set", &token, "--set", "codes.length=6"];
    let output = authepy(&folder, &[("AUTHEPY_LISTEN", "s3cret")], &arguments);
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let expected = [
        format!("authepy.toml: {open}"),
        "admin.token: every user of this machine can read it in the process list".into(),
        "AUTHEPY_LISTEN is not read; listen is set by AUTHEPY__LISTEN".into(),
    ];
    assert_eq!(said, json!({"ok": true, "warnings": expected}), "{output:?}");

    folder.write_with_mode("key.pem", &key, 0o644);
    let server = folder.serve();
    server.log_says("tls.key: holds a secret and is open to every user", 1);
    assert!(!server.log().contains("s3cret"));
}

#[test]
fn a_start_needs_no_file_where_the_environment_has_everything() {
    let folder = Folder::with_store();
    folder.install(&Pair::make());
    let config: toml::Table = folder.config("").parse().unwrap();
    let value = |path: &[&str]| {
        let first = config.get(path[0]).unwrap();
        path[1..].iter().fold(first, |value, name| &value[*name]).to_string()
    };
    let variables = [
        ("AUTHEPY__LISTEN", value(&["listen"])),
        ("AUTHEPY__DELIVERY", value(&["delivery"])),
        ("AUTHEPY_ADMIN__LISTEN", value(&["admin", "listen"])),
        ("AUTHEPY_STORE__URL", value(&["store", "url"])),
        ("AUTHEPY_TLS__CERT", value(&["tls", "cert"])),
        ("AUTHEPY_TLS__KEY", value(&["tls", "key"])),
    ];
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let output = authepy(&folder, &variables, &["config", "check"]);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), "ok".into()), "{output:?}");
}
