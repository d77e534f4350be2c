//! The operator's settings: defaults < TOML file < environment < `--set`.
//!
//! The defaults are in `defaults.toml`, each with its reason. That file is also the list of known
//! keys: an unknown key is an error that suggests the nearest known one.

use std::net::SocketAddr;
use std::path::PathBuf;

use authepy_engine::limits::Capacity;
use authepy_engine::perimeter::blocks::Blocks;
use authepy_engine::shard::{self, BanRules, Settings};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

mod admin_token;
mod bounds;
mod families;
mod fault;
mod layers;
mod log_filter;
mod mask;
mod provider;
mod values;

use families::FamilyConfig;
pub use fault::ConfigFault;
pub use layers::{Digests, Layers, changed};
pub(crate) use log_filter::LogFilter;
pub use provider::{Confidential, ProviderConfig, ProviderKind};
pub(crate) use values::Text;
use values::{Limits, Relays, Size, Span};

/// All settings, typed and checked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Addresses for UDP and TCP.
    pub listen: Vec<SocketAddr>,
    /// The control plane.
    pub admin: Admin,
    /// The certificate.
    pub tls: Tls,
    /// Where API keys and projects are stored.
    pub store: Location,
    /// Where slots and windows live.
    pub state: Location,
    /// Lanes.
    pub engine: Engine,
    /// Limits on connections.
    pub connections: Connections,
    /// Logging.
    pub log: Log,
    /// Bounds of memory.
    pub memory: Memory,
    /// Codes and verifications.
    pub codes: Codes,
    /// Windows.
    pub limits: AllLimits,
    /// Bans.
    pub bans: Bans,
    /// Disposable domains.
    pub catalog: Catalog,
    /// How mail providers map addresses to accounts, and which addresses are refused.
    pub recipients: Recipients,
    /// Proxies.
    pub proxy: Proxy,
    /// Secret keys used in browsers.
    pub keys: Keys,
    /// The operator's own mail.
    pub alerts: Alerts,
    /// The operator's endpoint for events.
    pub events: Events,
    /// Receipts.
    pub receipts: Receipts,
    /// Mail templates.
    pub templates: TemplateFolder,
    /// Mail providers, in the order in which they are tried.
    #[serde(default)]
    pub delivery: Vec<ProviderConfig>,
}

macro_rules! section {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name { $($(#[$field_doc])* pub $field: $type),* }
    };
}

section!(/// `admin.*`
    Admin { /// Address of the admin listener.
        listen: SocketAddr, /// The admin token.
        token: Text, /// A file with the admin token.
        token_file: Text });
section!(/// `tls.*`
    Tls { /// PEM chain.
        cert: Text, /// PEM key.
        key: Text });
section!(/// `store.*`, `state.*`
    Location { /// Where.
        url: String });
section!(/// `engine.*`
    Engine { /// Lanes; 0 means one for each core.
        shards: u16, /// Whether each lane stays on one core.
        pin: bool });
section!(/// `connections.*`
    Connections { /// Open connections in all.
        max: u32, /// Open connections of one peer.
        per_peer: u32, /// Idle timeout.
        idle: Span, /// Unvalidated handshakes above which clients must answer a Retry.
        retry_above: u32, /// Stream resets before a connection is closed.
        resets: u32, /// Longest a request may take to arrive.
        deadline: Span });
section!(/// `log.*`
    Log { /// Level or filter.
        level: String, /// `json` or `text`.
        format: Text });
section!(/// `memory.*`
    Memory { /// Maximum bytes of ephemeral state.
        ceiling: Size });
section!(/// `codes.*`
    Codes { /// Digits.
        length: u8, /// Lifetime of a verification.
        lifetime: Span, /// Attempts per verification.
        attempts: u8, /// Wait between mails.
        resend_after: Span, /// Mails per verification.
        sends: u8 });
section!(/// `limits.*`
    AllLimits { /// Per project and inbox.
        recipient: RecipientLimits, /// One peer's share of them.
        recipient_peer: IssueLimits, /// Per inbox, over all projects.
        recipient_all: IssueLimits, /// Per peer.
        peer: PeerLimits, /// Per API key.
        key: KeyLimits, /// Per project.
        project: IssueLimits, /// Per registrable domain.
        domain: UnverifiedLimits, /// One peer's share of a domain.
        domain_peer: UnverifiedLimits });
section!(/// `limits.recipient.*`
    RecipientLimits { /// Mails.
        issue: Limits, /// Wrong codes.
        guess: Limits });
section!(/// `limits.recipient_peer.*`, `limits.recipient_all.*`, `limits.project.*`
    IssueLimits { /// Issues.
        issue: Limits });
section!(/// `limits.key.*`
    KeyLimits { /// Issues.
        issue: Limits, /// Mails not answered by a correct code.
        unverified: Limits });
section!(/// `limits.domain.*`, `limits.domain_peer.*`
    UnverifiedLimits { /// Mails not answered by a correct code.
        unverified: Limits });
section!(/// `limits.peer.*`
    PeerLimits { /// Issues.
        issue: Limits, /// Checks.
        check: Limits, /// Refused requests.
        denied: Limits, /// Handshakes.
        handshake: Limits, /// Everything else.
        any: Limits });
section!(/// `bans.*`
    Bans { /// Strikes that ban.
        strikes: Limits, /// The first ban.
        first: Span, /// The longest ban.
        max: Span, /// Networks that are limited but never banned.
        exempt: Vec<String> });
section!(/// `catalog.*`
    Catalog { /// Disposable domains added.
        extra: Vec<String>, /// Domains always allowed.
        allow: Vec<String> });
section!(/// `recipients.*`
    Recipients { /// Mail providers beside the built-in ones.
        families: Vec<FamilyConfig>, /// Whether privacy relays are mailed to.
        relays: Relays });
section!(/// `proxy.*`
    Proxy { /// Proxies whose forwarding headers are trusted.
        trusted: Vec<String> });
section!(/// `keys.*`
    Keys { /// Whether a secret key in a browser is refused.
        refuse_secret_in_browser: bool, /// Whether such a key is revoked.
        revoke_exposed: bool });
section!(/// `alerts.*`
    Alerts { /// The operator's addresses.
        to: Vec<String> });
section!(/// `events.*`
    Events { /// Where events are posted.
        url: Text, /// Secret that signs the posts.
        secret: Text, /// A file with the secret.
        secret_file: Text, /// PEM file of a private CA, trusted in addition to the system's roots.
        ca_file: Text });
section!(/// `templates.*`
    TemplateFolder { /// `DIR/PROJECT/TEMPLATE.{txt,html,toml}`.
        dir: Text });
section!(/// `receipts.*`
    Receipts { /// The `iss` claim.
        issuer: String, /// Lifetime of a receipt.
        lifetime: Span, /// PKCS#8 PEM of the signing key.
        key_file: Text });

impl Config {
    /// Parses and checks the merged layers.
    pub fn from_layers(layers: Layers) -> Result<Self, ConfigFault> {
        let config = layers.typed()?;
        bounds::hold(&config)?;
        Ok(config)
    }

    /// Number of lanes: as configured, else one per core.
    pub fn lanes(&self) -> usize {
        match self.engine.shards {
            0 => std::thread::available_parallelism().map_or(1, usize::from).min(256),
            shards => usize::from(shards),
        }
    }

    /// Settings of the shards.
    pub fn settings(&self) -> Settings {
        let (codes, limits) = (&self.codes, &self.limits);
        Settings {
            code_length: codes.length,
            lifetime: codes.lifetime.0,
            attempts: codes.attempts,
            resend_after: codes.resend_after.0,
            sends: codes.sends,
            recipient_issue: limits.recipient.issue.0.clone(),
            recipient_peer_issue: limits.recipient_peer.issue.0.clone(),
            recipient_all_issue: limits.recipient_all.issue.0.clone(),
            recipient_guess: limits.recipient.guess.0.clone(),
            peer: shard::PeerLimits {
                issue: limits.peer.issue.0.clone(),
                check: limits.peer.check.0.clone(),
                denied: limits.peer.denied.0.clone(),
                handshake: limits.peer.handshake.0.clone(),
                any: limits.peer.any.0.clone(),
            },
            key_issue: limits.key.issue.0.clone(),
            key_unverified: limits.key.unverified.0.clone(),
            project_issue: limits.project.issue.0.clone(),
            domain_unverified: limits.domain.unverified.0.clone(),
            domain_peer_unverified: limits.domain_peer.unverified.0.clone(),
            bans: BanRules {
                strikes: self.bans.strikes.0.clone(),
                first: self.bans.first.0,
                max: self.bans.max.0,
                // Both lists were checked when the settings were read.
                exempt: self.never_banned().unwrap_or_default(),
            },
            capacity: Capacity::of(self.memory.ceiling.0, self.lanes()),
        }
    }

    /// Whether privacy relays are refused.
    pub fn refuses_relays(&self) -> bool {
        self.recipients.relays == Relays::Refuse
    }

    /// Digest of the admin token in the settings, if there is one. A weak token is an error.
    pub fn admin_token(&self) -> Result<Option<[u8; 32]>, ConfigFault> {
        let digest = |key: &str, token: &str| match token.trim() {
            token if admin_token::is_strong(token) => Ok(Some(Sha256::digest(token.as_bytes()).into())),
            _ => Err(ConfigFault(format!("{key}: {}", admin_token::ADVICE))),
        };
        match (self.admin.token.get(), self.admin.token_file.get()) {
            (None, None) => Ok(None),
            (Some(token), None) => digest("admin.token", token),
            (None, Some(file)) => match std::fs::read_to_string(file).map(Zeroizing::new) {
                Ok(token) if !token.trim().is_empty() => digest("admin.token_file", &token),
                Ok(_) => Err(ConfigFault("admin.token_file: the file is empty".into())),
                Err(fault) => Err(ConfigFault(format!("admin.token_file: can't be read: {}", fault.kind()))),
            },
            (Some(_), Some(_)) => {
                Err(ConfigFault("admin.token and admin.token_file: set only one of them".into()))
            }
        }
    }

    /// Proxies whose forwarding headers are trusted.
    pub fn trusted_proxies(&self) -> Result<Blocks, ConfigFault> {
        blocks("proxy.trusted", &self.proxy.trusted)
    }

    /// Networks that are never banned: `bans.exempt`, and the proxies, because each forwards many
    /// peers.
    pub fn never_banned(&self) -> Result<Blocks, ConfigFault> {
        Ok(self.trusted_proxies()?.and(&blocks("bans.exempt", &self.bans.exempt)?))
    }

    /// The certificate and key files.
    pub fn tls_files(&self) -> Result<(PathBuf, PathBuf), ConfigFault> {
        match (self.tls.cert.get(), self.tls.key.get()) {
            (Some(cert), Some(key)) => Ok((cert.into(), key.into())),
            (None, Some(_)) => Err(ConfigFault("tls.cert: needed to serve".into())),
            (Some(_), None) => Err(ConfigFault("tls.key: needed to serve".into())),
            (None, None) => Err(ConfigFault("tls.cert and tls.key: both are needed to serve".into())),
        }
    }
}

fn blocks(key: &str, list: &[String]) -> Result<Blocks, ConfigFault> {
    Blocks::parse(list).map_err(|(at, fault)| ConfigFault(format!("{key}[{at}]: {fault}")))
}
