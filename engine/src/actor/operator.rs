//! The operator's access to the shards: bans, and nothing else.
//!
//! ```text
//!   control plane ── Visit ──▶ flume(16) ──▶ the owning lane's turn ──▶ answer (a channel of its own)
//! ```
//!
//! Visits have a channel of their own, so that an operator can ban while a flood fills the command
//! channel. A visit waits for room and for the lane; the caller sets the deadline. If the caller
//! gives up, the answer is dropped, but the ban or lift is still carried out.

use std::sync::Arc;

use super::{AllLanes, Lane};
use crate::peer::Prefix;
use crate::perimeter::ban::BanEntry;
use crate::request::{Ban, Command, Outcome, Refusal};
use crate::route::{PeerDigest, StartKeys};

/// One operator request to one shard.
pub(super) enum Visit {
    Ban(Ban, flume::Sender<Result<Option<BanEntry>, Refusal>>),
    Unban(Prefix, flume::Sender<Result<bool, Refusal>>),
    Bans(flume::Sender<Result<Vec<BanEntry>, Refusal>>),
}

/// Bans and lifts bans from outside the lanes. May wait; lanes never do.
#[derive(Clone)]
pub struct Operator {
    senders: Arc<AllLanes>,
    keys: StartKeys,
}

impl Operator {
    pub(super) fn new(senders: Arc<AllLanes>, keys: StartKeys) -> Self {
        Self { senders, keys }
    }

    /// Bans a network; `None` if it is exempt. Returns once its shard has decided; the other lanes
    /// are about to learn of the ban.
    ///
    /// # Errors
    /// The table is full of live bans, or the shard can't answer.
    pub async fn ban(&self, ban: Ban) -> Result<Option<BanEntry>, Refusal> {
        let shard = self.owner(&ban.prefix);
        self.visit(shard, |answer| Visit::Ban(ban, answer)).await
    }

    /// Lifts the bans of exactly this network, including those based on projects' claims. False if
    /// there was none.
    ///
    /// # Errors
    /// The shard can't answer.
    pub async fn unban(&self, prefix: Prefix) -> Result<bool, Refusal> {
        self.visit(self.owner(&prefix), |answer| Visit::Unban(prefix, answer)).await
    }

    /// All bans in force, in no particular order, collected from all shards.
    ///
    /// # Errors
    /// A shard can't answer.
    pub async fn bans(&self) -> Result<Vec<BanEntry>, Refusal> {
        let mut all = Vec::new();
        for shard in 0..self.senders.len() {
            all.extend(self.visit(shard, Visit::Bans).await?);
        }
        Ok(all)
    }

    /// The name of a network where its address must not be shown.
    pub fn name(&self, prefix: &Prefix) -> PeerDigest {
        self.keys.prefix_digest(prefix)
    }

    fn owner(&self, prefix: &Prefix) -> usize {
        self.keys.prefix_route(prefix).shard(self.senders.len())
    }

    async fn visit<T>(
        &self,
        shard: usize,
        visit: impl FnOnce(flume::Sender<Result<T, Refusal>>) -> Visit,
    ) -> Result<T, Refusal> {
        let (answer, answered) = flume::bounded(1);
        // A lane that has ended drops the visit, and its answer's channel with it.
        let _ended = self.senders[shard].visits.send(visit(answer)).await;
        answered.recv_async().await.unwrap_or(Err(super::not_ready()))
    }
}

impl Lane {
    /// Carries out an operator request on this lane's shard.
    pub(super) fn admit(&self, visit: Visit) {
        // The visit is carried out even if nobody awaits the answer any more.
        let _is_awaited = match visit {
            Visit::Ban(ban, answer) => answer.try_send(self.ban(ban)).is_ok(),
            Visit::Unban(prefix, answer) => answer.try_send(self.unban(prefix)).is_ok(),
            Visit::Bans(answer) => answer.try_send(self.own_bans()).is_ok(),
        };
    }

    fn ban(&self, ban: Ban) -> Result<Option<BanEntry>, Refusal> {
        let prefix = ban.prefix;
        match self.decide(Command::Ban(ban)) {
            // The lane's copy has the ban already, unless its end is in the past.
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
        // Unreachable: no shard answers with another outcome.
        _ => super::not_ready(),
    }
}
