use super::*;

fn environment(variables: &[(&str, &str)]) -> impl Iterator<Item = (OsString, OsString)> {
    let variables: Vec<_> = variables.iter().map(|&(name, text)| (name.into(), text.into())).collect();
    variables.into_iter()
}

fn with(assignment: &str) -> Result<Config, ConfigFault> {
    Config::from_layers(Layers::new().unwrap().assignment(assignment)?)
}

fn fault(assignment: &str) -> String {
    with(assignment).unwrap_err().0
}

/// The table of the contract, section 2 (and `keys.*` of section 3), as TOML.
const CONTRACT: &[(&str, &str)] = &[
    ("listen", r#"["[::]:443"]"#),
    ("admin.listen", r#""127.0.0.1:9443""#),
    ("admin.token", r#""""#),
    ("admin.token_file", r#""""#),
    ("tls.cert", r#""""#),
    ("tls.key", r#""""#),
    ("store.url", r#""sqlite://authepy.db""#),
    ("state.url", r#""memory:""#),
    ("engine.shards", "0"),
    ("connections.max", "100000"),
    ("connections.per_peer", "200"),
    ("connections.idle", r#""30s""#),
    ("connections.retry_above", "500"),
    ("connections.resets", "200"),
    ("connections.deadline", r#""10s""#),
    ("log.level", r#""info""#),
    ("log.format", r#""""#),
    ("memory.ceiling", r#""512MiB""#),
    ("codes.length", "6"),
    ("codes.lifetime", r#""300s""#),
    ("codes.attempts", "5"),
    ("codes.resend_after", r#""30s""#),
    ("codes.sends", "5"),
    ("limits.recipient.issue", r#"["5/10m", "10/1d"]"#),
    ("limits.recipient_peer.issue", r#"["3/10m", "5/1d"]"#),
    ("limits.recipient.guess", r#""20/1d""#),
    ("limits.peer.issue", r#"["20/1m", "100/1h"]"#),
    ("limits.peer.check", r#""60/1m""#),
    ("limits.peer.denied", r#""30/1m""#),
    ("limits.peer.handshake", r#""100/1m""#),
    ("limits.peer.any", r#""600/1m""#),
    ("limits.recipient_all.issue", r#"["15/10m", "30/1d"]"#),
    ("limits.key.issue", r#""off""#),
    ("limits.key.unverified", r#""off""#),
    ("limits.project.issue", r#""off""#),
    ("limits.domain.unverified", r#""500/10m""#),
    ("limits.domain_peer.unverified", r#""20/10m""#),
    ("recipients.relays", r#""allow""#),
    ("bans.strikes", r#""5/10m""#),
    ("bans.first", r#""3h""#),
    ("bans.max", r#""24h""#),
    ("bans.exempt", "[]"),
    ("catalog.extra", "[]"),
    ("catalog.allow", "[]"),
    ("proxy.trusted", "[]"),
    ("alerts.to", "[]"),
    ("receipts.issuer", r#""authepy""#),
    ("receipts.lifetime", r#""120s""#),
    ("receipts.key_file", r#""""#),
    ("templates.dir", r#""""#),
    ("keys.refuse_secret_in_browser", "false"),
    ("keys.revoke_exposed", "false"),
];

/// Keys that the contract does not name: it does not specify how lanes use the machine, and says
/// nothing about events; of the provider table it says only that the config can extend it.
const OWN: &[&str] = &[
    "engine.pin",
    "recipients.families",
    "events.url",
    "events.secret",
    "events.secret_file",
    "events.ca_file",
];

/// A valid value other than the default for every key.
const OTHERS: &[(&str, &str)] = &[
    ("listen", r#"["127.0.0.1:8443", "[::1]:8443"]"#),
    ("admin.listen", r#""127.0.0.1:9999""#),
    ("admin.token", r#""0123456789abcdef""#),
    ("admin.token_file", r#""/run/token""#),
    ("tls.cert", r#""/etc/cert.pem""#),
    ("tls.key", r#""/etc/key.pem""#),
    ("store.url", r#""postgres://db.example/authepy""#),
    ("state.url", r#""memory:""#),
    ("engine.shards", "4"),
    ("engine.pin", "false"),
    ("connections.max", "10"),
    ("connections.per_peer", "11"),
    ("connections.idle", r#""31s""#),
    ("connections.retry_above", "12"),
    ("connections.resets", "13"),
    ("connections.deadline", r#""11s""#),
    ("log.level", r#""authepy_transport=debug,warn""#),
    ("log.format", r#""text""#),
    ("memory.ceiling", r#""1GiB""#),
    ("codes.length", "8"),
    ("codes.lifetime", r#""10m""#),
    ("codes.attempts", "3"),
    ("codes.resend_after", r#""1m""#),
    ("codes.sends", "2"),
    ("limits.recipient.issue", r#""off""#),
    ("limits.recipient_peer.issue", r#""1/1m""#),
    ("limits.recipient.guess", r#"["2/1m", "3/1h"]"#),
    ("limits.peer.issue", r#""0/1s""#),
    ("limits.peer.check", r#"["60/1m"]"#),
    ("limits.peer.denied", r#""off""#),
    ("limits.peer.handshake", r#""1/1s""#),
    ("limits.peer.any", r#""2/1s""#),
    ("limits.recipient_all.issue", r#""20/1h""#),
    ("limits.key.unverified", r#""100/10m""#),
    ("limits.project.issue", r#""1000/1h""#),
    ("limits.domain.unverified", r#""off""#),
    ("limits.domain_peer.unverified", r#""1/1m""#),
    ("limits.key.issue", r#"["100/1d"]"#),
    ("bans.strikes", r#""off""#),
    ("bans.first", r#""1h""#),
    ("bans.max", r#""5h""#),
    ("bans.exempt", r#"["192.0.2.0/24"]"#),
    ("catalog.extra", r#"["throwaway.example"]"#),
    ("catalog.allow", r#"["mailinator.com"]"#),
    ("recipients.relays", r#""refuse""#),
    ("recipients.families", r#"[{domains = ["corp.example"], ignored = "."}]"#),
    ("proxy.trusted", r#"["10.0.0.0/8", "::1"]"#),
    ("keys.refuse_secret_in_browser", "true"),
    ("keys.revoke_exposed", "true"),
    ("alerts.to", r#"["ops@acme.example"]"#),
    ("events.url", r#""https://hooks.acme.example/authepy""#),
    ("events.secret", r#""0123456789abcdef0123456789abcdef""#),
    ("events.secret_file", r#""/run/events""#),
    ("events.ca_file", r#""/etc/ca.pem""#),
    ("receipts.issuer", r#""acme""#),
    ("receipts.lifetime", r#""1m""#),
    ("receipts.key_file", r#""/etc/receipts.pem""#),
    ("templates.dir", r#""/etc/authepy/templates""#),
];

#[test]
fn the_defaults_are_those_of_the_contract_and_a_valid_config() {
    let layers = Layers::new().unwrap();
    let defaults = leaves("", &layers.merged);
    for (key, expected) in CONTRACT {
        let found = defaults.iter().find(|(path, _)| path == key).map(|(_, value)| value);
        assert_eq!(found, Some(&value(expected, false)), "{key}");
    }
    for (path, _) in &defaults {
        let known = CONTRACT.iter().any(|(key, _)| key == path) || OWN.contains(&path.as_str());
        assert!(known, "{path} is not in the contract");
    }
    let config = Config::from_layers(layers).unwrap();
    assert!(config.delivery.is_empty() && config.lanes() > 0);
}

/// A file, an environment variable and an argument that set `key`.
fn three_layers(key: &str, toml: &str) -> [Layers; 3] {
    let base = || Layers::new().unwrap();
    let variable = match key.contains('.') {
        true => format!("AUTHEPY_{}", key.to_uppercase().replace('.', "__")),
        false => format!("AUTHEPY__{}", key.to_uppercase()),
    };
    [
        base().file(&format!("{key} = {toml}")).unwrap(),
        base().environment(environment(&[(&variable, toml)])).unwrap(),
        base().assignment(&format!("{key}={toml}")).unwrap(),
    ]
}

#[test]
fn every_key_is_set_alike_by_file_environment_and_argument() {
    let defaults = Layers::new().unwrap();
    for (key, _) in leaves("", &defaults.known) {
        assert!(OTHERS.iter().any(|(other, _)| *other == key), "no other value for {key}");
    }
    for (key, toml) in OTHERS {
        for (layer, layers) in ["file", "environment", "--set"].iter().zip(three_layers(key, toml)) {
            let digests = layers.digests();
            let expected: &[&str] = if *key == "state.url" { &[] } else { &[key] };
            assert_eq!(changed(&defaults.digests(), &digests), expected, "{key} by {layer}");
            Config::from_layers(layers).unwrap_or_else(|fault| panic!("{key} by {layer}: {fault}"));
        }
    }
}

#[test]
fn a_later_layer_wins_key_by_key() {
    for (key, toml) in OTHERS {
        let first = Layers::new().unwrap().file("[codes]\nattempts = 4\n[log]\nlevel = 'debug'").unwrap();
        let default = leaves("", &first.known).into_iter().find(|(path, _)| path == key).unwrap().1;
        let variable = format!("AUTHEPY_{}", key.to_uppercase().replace('.', "__"));
        let variable = if key.contains('.') { variable } else { format!("AUTHEPY__{}", key.to_uppercase()) };
        let second = first.environment(environment(&[(&variable, toml)])).unwrap();
        let third = second.assignment(&format!("{key}={default}")).unwrap();
        let expected: Vec<&str> =
            ["codes.attempts", "log.level"].into_iter().filter(|other| other != key).collect();
        assert_eq!(changed(&Layers::new().unwrap().digests(), &third.digests()), expected, "{key}");
    }
}

#[test]
fn only_variables_with_two_underscores_are_keys() {
    let layers = Layers::new().unwrap();
    let others = [
        ("AUTHEPY_ADMIN_TOKEN", "x"),
        ("AUTHEPY_LISTEN", "x"),
        ("AUTHEPY_CLIENTS", "/x"),
        ("AUTHEPYX__Y", "x"),
        ("PATH__X", "x"),
    ];
    let after = layers.clone().environment(environment(&others)).unwrap();
    assert_eq!(changed(&layers.digests(), &after.digests()), [] as [&str; 0]);
    let names = others.iter().map(|(name, _)| OsString::from(name));
    assert_eq!(layers.near_misses(names), ["listen"], "said, as it looks like a key");

    let secret = environment(&[("AUTHEPY_ADMIN__TOKEN", "not TOML; a token")]);
    let config = Config::from_layers(layers.clone().environment(secret).unwrap()).unwrap();
    assert_eq!(config.admin.token.get(), Some("not TOML; a token"));
    let unknown = layers.clone().environment(environment(&[("AUTHEPY_ADMIN__TOKENS", "x")])).unwrap_err();
    assert_eq!(
        unknown.0,
        "unknown setting admin.tokens; did you mean admin.token? (in AUTHEPY_ADMIN__TOKENS)"
    );

    use std::os::unix::ffi::OsStringExt as _;
    let broken = OsString::from_vec(vec![0xff]);
    let fault = layers.clone().environment([("AUTHEPY_ADMIN__TOKEN".into(), broken.clone())].into_iter());
    assert_eq!(fault.unwrap_err().0, "admin.token: AUTHEPY_ADMIN__TOKEN is not UTF-8");
    assert!(layers.environment([(broken, "x".into())].into_iter()).is_ok(), "nobody's key");
}

#[test]
fn lists_of_tables_come_from_any_layer() {
    let toml = "[{name = 'a', kind = 'outbox', url = '/a', from = 'a@acme.example'},\n \
                {name = 'b', kind = 'smtp', url = 'smtps://b.example', from = 'b@acme.example'}]";
    for layers in three_layers("delivery", toml) {
        let config = Config::from_layers(layers).unwrap();
        let names: Vec<&str> = config.delivery.iter().map(|provider| &*provider.name).collect();
        assert_eq!(names, ["a", "b"]);
    }
    let file = "[[delivery]]\nname = 'a'\nkind = 'outbox'\nurl = '/a'\nfrom = 'a@acme.example'";
    assert_eq!(Config::from_layers(Layers::new().unwrap().file(file).unwrap()).unwrap().delivery.len(), 1);
}

#[test]
fn what_is_not_toml_is_text_and_where_text_belongs_all_is() {
    for (assignment, expected) in [
        ("receipts.issuer=acme", "acme"),
        ("receipts.issuer=\"acme\"", "acme"),
        ("receipts.issuer=2026", "2026"),
        ("receipts.issuer=true", "true"),
        ("receipts.issuer=1979-05-27", "1979-05-27"),
        ("receipts.issuer=a=b", "a=b"),
        ("receipts.issuer= acme ", "acme"),
        ("receipts.issuer='acme'\nadmin.token = 'x'", "'acme'\nadmin.token = 'x'"),
    ] {
        assert_eq!(with(assignment).unwrap().receipts.issuer, expected, "{assignment}");
    }
    assert_eq!(with("memory.ceiling=16777216").unwrap().memory.ceiling.0, 16 << 20);
    assert!(with("limits.recipient.guess=off").unwrap().limits.recipient.guess.0.is_empty());
    assert_eq!(with(r#"limits.recipient.guess=["2/1m","3/1h"]"#).unwrap().limits.recipient.guess.0.len(), 2);
    let four = with("limits.peer.issue=['1/1s','2/1m','3/1h','4/1d']").unwrap();
    assert_eq!(four.limits.peer.issue.0.len(), 4, "as many as an answer can tell of");
}

#[test]
fn an_unknown_key_names_the_nearest() {
    for (typed, nearest) in [
        ("limits.peers.issue=off", "limits.peer.issue"),
        ("listn=x", "listen"),
        ("delivry=[]", "delivery"),
        ("code.length=6", "codes.length"),
        ("tls.certificate=x", "tls.cert"),
        ("proxy.trust=x", "proxy.trusted"),
        ("limits.recipient=off", "limits.recipient.issue"),
    ] {
        let typed_key = typed.split_once('=').unwrap().0;
        assert_eq!(fault(typed), format!("unknown setting {typed_key}; did you mean {nearest}?"));
    }
    let in_file = |text: &str| Layers::new().unwrap().file(text).map(drop).map_err(|fault| fault.0);
    assert_eq!(
        in_file("[limits.peers]\nissue = 'off'"),
        Err("unknown setting limits.peers.issue; did you mean limits.peer.issue?".into())
    );
    assert!(in_file("[limit]").is_err(), "an unknown section, though it is empty");
    assert_eq!(in_file("[limits]\n[codes]\n[catalog]"), Ok(()), "known sections may be empty");
    assert_eq!(
        in_file("\nx = s3cret\n"),
        Err("line 2 is not TOML: string values must be quoted, expected literal string".into())
    );
}

#[test]
fn a_fault_names_its_key_and_quotes_no_value() {
    for (assignment, expected) in [
        ("codes.attempts=s3cret", "codes.attempts: expected a whole number from 0 to 255"),
        ("codes.attempts=256", "codes.attempts: expected a whole number from 0 to 255"),
        ("codes.attempts=0", "codes.attempts: at least 1"),
        ("codes.sends=0", "codes.sends: at least 1"),
        ("codes.length=5", "codes.length: 6 to 10 digits"),
        ("codes.length=11", "codes.length: 6 to 10 digits"),
        ("codes.lifetime=601s", "codes.lifetime: 1s to 600s (NIST SP 800-63B-4, 3.1.3.2)"),
        ("codes.lifetime=0s", "codes.lifetime: 1s to 600s (NIST SP 800-63B-4, 3.1.3.2)"),
        ("codes.lifetime=5", "codes.lifetime: a duration like 30s or 10m"),
        ("memory.ceiling=15MiB", "memory.ceiling: at least 16MiB"),
        ("memory.ceiling=much", "memory.ceiling: a size like 512MiB"),
        ("engine.shards=257", "engine.shards: at most 256"),
        ("engine.pin=s3cret", "engine.pin: expected a boolean"),
        ("listen=[]", "listen: at least one address"),
        ("listen=s3cret", "listen: expected a list"),
        ("listen=['s3cret']", "listen[0]: invalid socket address syntax"),
        ("admin.listen=0.0.0.0:9443", "admin.listen: must be a loopback address"),
        ("admin.token=['s3cret']", "admin.token: expected a string"),
        ("state.url=redis://s3cret", "state.url: only memory: is implemented so far"),
        ("connections.max=0", "connections.max: at least 1"),
        ("connections.per_peer=0", "connections.per_peer: at least 1"),
        ("connections.per_peer=-1", "connections.per_peer: expected a whole number from 0 to 4294967295"),
        ("connections.idle=0s", "connections.idle: must be more than zero"),
        ("connections.idle=999999999years", "connections.idle: too long"),
        ("connections.deadline=0s", "connections.deadline: must be more than zero"),
        (
            "log.level=lou=d=er",
            "log.level: must be a level such as info, or a filter of this program's targets",
        ),
        (
            "log.level=quinn=trace",
            "log.level: must be a level such as info, or a filter of this program's targets",
        ),
        ("log.format=xml", "log.format: json or text"),
        ("limits.peer.issue=5", "limits.peer.issue: a limit: \"off\", \"5/10m\" or a list of those"),
        ("limits.key.issue=often", "limits.key.issue: a limit: \"off\", \"5/10m\" or a list of those"),
        ("limits.peer.issue=['1/1s','2/1m','3/1h','4/1d','5/2d']", "limits.peer.issue: at most 4 limits"),
        (
            "limits.recipient.guess=['1/1s','1/1s','1/1s','1/1s','s3cret']",
            "limits.recipient.guess: at most 4 limits",
        ),
        ("bans.strikes=['1/1s','2/1m','3/1h','4/1d','5/2d']", "bans.strikes: at most 4 limits"),
        ("bans.first=25h", "bans.first: at most bans.max"),
        ("alerts.to=['ops@acme.example', 's3cret']", "alerts.to[1]: not a mail address"),
        ("proxy.trusted=['s3cret']", "proxy.trusted[0]: not an address or a block such as 192.0.2.0/24"),
        ("receipts.issuer=", "receipts.issuer: not empty"),
        ("receipts.lifetime=0s", "receipts.lifetime: 1s to 600s"),
        ("keys.refuse_secret_in_browser=maybe", "keys.refuse_secret_in_browser: expected a boolean"),
        ("delivery=s3cret", "delivery: expected a list"),
        ("delivery=[{name='a'}]", "delivery[0]: missing field `kind`"),
        ("delivery=[{kind='s3cret'}]", "delivery[0].kind: expected one of `smtp`, `outbox`, `webhook`"),
        (
            "delivery=[{name='a', passwrd='s3cret'}]",
            "delivery[0].passwrd: unknown setting passwrd; did you mean password?",
        ),
        ("s3cret", "--set takes key=value"),
    ] {
        let said = with(assignment).map(drop).unwrap_err().0;
        assert_eq!(said, expected, "{assignment}");
    }
    let both = Layers::new().unwrap().assignment("admin.token=x").unwrap().assignment("admin.token_file=y");
    let said = Config::from_layers(both.unwrap()).unwrap_err().0;
    assert_eq!(said, "admin.token and admin.token_file: set only one of them");
}

#[test]
fn neither_a_debug_text_nor_a_digest_shows_a_value() {
    let layers = Layers::new().unwrap().assignment("admin.token=s3cret").unwrap();
    assert!(!format!("{layers:?} {:?}", layers.digests()).contains("s3cret"));
    assert!(layers.hold_secret() && !Layers::new().unwrap().hold_secret());
    let store = Layers::new().unwrap().assignment("store.url=postgres://a:s3cret@db.example/a").unwrap();
    assert!(store.hold_secret());
}
