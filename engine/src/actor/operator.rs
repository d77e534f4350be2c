//! The operator's way into the shards: bans, and nothing else.
//!
//! ```text
//!   control plane ── Visit ──▶ flume(16) ──▶ the owning lane's turn ──▶ answer (a channel of its own)
//! ```
//!
//! A visit has a door of its own, so that an operator can ban while a flood fills the inbox. It waits for
//! room and for the lane; whoever visits sets the deadline. An answer nobody awaits any more is dropped; what
//! the visit asked for is done all the same.

use std::sync::Arc;

use super::{Doors, Lane};
use crate::peer::Prefix;
use crate::perimeter::ban::BanEntry;
use crate::request::{Ban, Command, Outcome, Refusal};
use crate::route::{PeerDigest, StartKeys};

/// One question of the operator's to one shard.
pub(super) enum Visit {
    Ban(Ban, flume::Sender<Result<Option<BanEntry>, Refusal>>),
    Unban(Prefix, flume::Sender<Result<bool, Refusal>>),
    Bans(flume::Sender<Result<Vec<BanEntry>, Refusal>>),
}

/// Bans and lifts from outside the lanes. May wait; lanes never do.
#[derive(Clone)]
pub struct Operator {
    doors: Arc<Doors>,
    keys: StartKeys,
}

impl Operator {
    pub(super) fn new(doors: Arc<Doors>, keys: StartKeys) -> Self {
        Self { doors, keys }
    }

    /// Bans a network; `None` if it is exempt, and never banned. The answer comes once its shard has decided
    /// and is on its way to the other lanes.
    ///
    /// # Errors
    /// The table is full of live bans, or the shard can't answer.
    pub async fn ban(&self, ban: Ban) -> Result<Option<BanEntry>, Refusal> {
        let shard = self.owner(&ban.prefix);
        self.visit(shard, |answer| Visit::Ban(ban, answer)).await
    }

    /// Lifts the bans of exactly this network, those by what projects claim included. False if there was none.
    ///
    /// # Errors
    /// The shard can't answer.
    pub async fn unban(&self, prefix: Prefix) -> Result<bool, Refusal> {
        self.visit(self.owner(&prefix), |answer| Visit::Unban(prefix, answer)).await
    }

    /// All bans that hold, in no order: each shard tells its own.
    ///
    /// # Errors
    /// A shard can't answer.
    pub async fn bans(&self) -> Result<Vec<BanEntry>, Refusal> {
        let mut all = Vec::new();
        for shard in 0..self.doors.len() {
            all.extend(self.visit(shard, Visit::Bans).await?);
        }
        Ok(all)
    }

    /// What a network is called where nobody may read its address.
    pub fn name(&self, prefix: &Prefix) -> PeerDigest {
        self.keys.prefix_digest(prefix)
    }

    fn owner(&self, prefix: &Prefix) -> usize {
        self.keys.prefix_route(prefix).shard(self.doors.len())
    }

    async fn visit<T>(
        &self,
        shard: usize,
        visit: impl FnOnce(flume::Sender<Result<T, Refusal>>) -> Visit,
    ) -> Result<T, Refusal> {
        let (answer, answered) = flume::bounded(1);
        // A lane that has ended drops the visit, and its answer's channel with it.
        let _ended = self.doors[shard].visits.send(visit(answer)).await;
        answered.recv_async().await.unwrap_or(Err(super::not_ready()))
    }
}

impl Lane {
    /// Does what the operator asks of this lane's shard.
    pub(super) fn admit(&self, visit: Visit) {
        // Whether somebody still waits for the answer changes nothing.
        let _is_awaited = match visit {
            Visit::Ban(ban, answer) => answer.try_send(self.ban(ban)).is_ok(),
            Visit::Unban(prefix, answer) => answer.try_send(self.unban(prefix)).is_ok(),
            Visit::Bans(answer) => answer.try_send(self.own_bans()).is_ok(),
        };
    }

    fn ban(&self, ban: Ban) -> Result<Option<BanEntry>, Refusal> {
        let prefix = ban.prefix;
        match self.decide(Command::Ban(ban)) {
            // The lane's copy has it already; an end in the past leaves nothing to find.
            Outcome::Banned(until) => {
                Ok(Some(self.0.bans.entry(prefix).unwrap_or(BanEntry { prefix, until, count: 1 })))
            }
            Outcome::Exempt => Ok(None),
            other => Err(refusal(other)),
        }
    }

    fn unban(&self, prefix: Prefix) -> Result<bool, Refusal> {
        match self.decide(Command::Unban(prefix)) {
            Outcome::Unbanned { was_banned } => Ok(was_banned),
            other => Err(refusal(other)),
        }
    }

    fn own_bans(&self) -> Result<Vec<BanEntry>, Refusal> {
        let changes = self.with_shard(|shard, now| shard.bans(now.at)).ok_or(super::not_ready())?;
        let entries = changes.into_iter().filter_map(|change| {
            let until = change.until?;
            Some(BanEntry { prefix: change.prefix, until, count: change.count })
        });
        Ok(entries.collect())
    }
}

fn refusal(outcome: Outcome) -> Refusal {
    match outcome {
        Outcome::Refused(refusal) => refusal,
        // No shard answers so.
        _ => super::not_ready(),
    }
}
