//! Bounds of settings, checked whenever settings are read. Opens no file.

use std::time::Duration;

use authepy_engine::limits::{CODE_DIGITS_MAX, CODE_DIGITS_MIN, CODE_LIFETIME_MAX, CODE_LIFETIME_MIN};

use super::{Config, ConfigFault, LogFilter};

/// Maximum number of lanes. Drawing an id that routes to a given one of 256 lanes takes 256 tries
/// on average, some microseconds.
const SHARDS_MAX: u16 = 256;
/// Minimum memory ceiling in bytes: below it a shard of a large machine would hold only a handful
/// of codes.
const CEILING_MIN: usize = 16 << 20;

/// Checks all bounds. The error names the first setting out of bounds.
pub(super) fn hold(config: &Config) -> Result<(), ConfigFault> {
    network(config)?;
    codes(config)?;
    require(config.memory.ceiling.0 >= CEILING_MIN, "memory.ceiling: at least 16MiB")?;
    require(config.engine.shards <= SHARDS_MAX, "engine.shards: at most 256")?;
    require(config.state.url == "memory:", "state.url: only memory: is implemented so far")?;
    require(config.bans.first.0 <= config.bans.max.0, "bans.first: at most bans.max")?;
    let log = &config.log;
    require(
        LogFilter::parse(&log.level).is_some(),
        "log.level: must be a level such as info, or a filter of this program's targets",
    )?;
    require(
        log.format.get().is_none_or(|format| matches!(format, "json" | "text")),
        "log.format: json or text",
    )?;
    for (at, address) in config.alerts.to.iter().enumerate() {
        let is_address = address.parse::<lettre::Address>().is_ok();
        require(is_address, &format!("alerts.to[{at}]: not a mail address"))?;
    }
    Ok(())
}

fn network(config: &Config) -> Result<(), ConfigFault> {
    require(!config.listen.is_empty(), "listen: at least one address")?;
    require(config.admin.listen.ip().is_loopback(), "admin.listen: must be a loopback address")?;
    let token = &config.admin;
    require(
        token.token.get().is_none() || token.token_file.get().is_none(),
        "admin.token and admin.token_file: set only one of them",
    )?;
    let connections = &config.connections;
    require(connections.max > 0, "connections.max: at least 1")?;
    require(connections.per_peer > 0, "connections.per_peer: at least 1")?;
    require(!connections.deadline.0.is_zero(), "connections.deadline: must be more than zero")?;
    require(!connections.idle.0.is_zero(), "connections.idle: must be more than zero")?;
    // QUIC counts the milliseconds of its idle timeout in 62 bits.
    require(quinn::IdleTimeout::try_from(connections.idle.0).is_ok(), "connections.idle: too long")?;
    config.never_banned().map(drop)
}

fn codes(config: &Config) -> Result<(), ConfigFault> {
    let codes = &config.codes;
    require((CODE_DIGITS_MIN..=CODE_DIGITS_MAX).contains(&codes.length), "codes.length: 6 to 10 digits")?;
    require(
        (CODE_LIFETIME_MIN..=CODE_LIFETIME_MAX).contains(&codes.lifetime.0),
        "codes.lifetime: 1s to 600s (NIST SP 800-63B-4, 3.1.3.2)",
    )?;
    require(codes.attempts > 0, "codes.attempts: at least 1")?;
    require(codes.sends > 0, "codes.sends: at least 1")?;
    require(!config.receipts.issuer.is_empty(), "receipts.issuer: not empty")?;
    require(
        (Duration::from_secs(1)..=CODE_LIFETIME_MAX).contains(&config.receipts.lifetime.0),
        "receipts.lifetime: 1s to 600s",
    )
}

fn require(holds: bool, what: &str) -> Result<(), ConfigFault> {
    holds.then_some(()).ok_or_else(|| ConfigFault(what.to_owned()))
}
