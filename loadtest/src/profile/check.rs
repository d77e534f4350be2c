//! Refuses runs that can't be meant, before anything is sent.
use super::{Knobs, PEERS_MAX, Profile};
use crate::limits::{Limit, Rules};
use crate::scenario::Role;

/// A schedule is held in memory, 32 bytes a story, and so is what the oracle must remember of each.
const STORIES_MAX: f64 = 2e6;
/// Guesses at once are tasks at once.
const BURST_MAX: usize = 64;

impl Profile {
    /// Refuses what can't be meant, before anything is sent.
    pub(crate) fn check(&self, rules: &Rules) -> Result<(), String> {
        let stories: f64 = self.parts.keys().map(|role| self.expected(*role)).sum();
        let holds = [
            (self.seconds > 0.0, "seconds must be above 0"),
            (stories <= STORIES_MAX, "that is over 2 million stories"),
            (self.in_flight > 0, "in_flight must be above 0"),
            ((1..=64).contains(&self.threads), "threads is between 1 and 64"),
            (!self.parts.is_empty(), "nobody acts"),
            (rules.first_ban.as_secs_f64() > self.seconds, "bans.first must outlast the run"),
        ];
        holds.iter().find(|(held, _)| !held).map_or(Ok(()), |(_, problem)| Err((*problem).to_owned()))?;
        self.parts.iter().try_for_each(|(role, knobs)| {
            self.check_part(*role, knobs, rules).map_err(|problem| format!("{}: {problem}", role.name()))
        })
    }

    fn check_part(&self, role: Role, knobs: &Knobs, rules: &Rules) -> Result<(), String> {
        let share = |share: f64| (0.0..=1.0).contains(&share);
        let about = matches!(role, Role::Guessers | Role::Mutators | Role::Bombers);
        let holds = [
            (knobs.rate > 0.0 && knobs.rate.is_finite(), "rate must be above 0"),
            ((1..=PEERS_MAX).contains(&knobs.peers), "peers is between 1 and 65000"),
            (share(knobs.wrong_share) && share(knobs.replay_share), "a share is between 0 and 1"),
            (!about || knobs.inboxes > 0, "inboxes must be above 0"),
            (role != Role::Guessers || (1..=BURST_MAX).contains(&knobs.burst), "burst is between 1 and 64"),
        ];
        holds.iter().find(|(held, _)| !held).map_or(Ok(()), |(_, problem)| Err((*problem).to_owned()))?;
        // Who is honest stays within the limits, or its refusals would say nothing about the server.
        let each = (self.expected(role) / knobs.peers as f64).ceil() as u64;
        let tight = |limits: &[Limit], uses: u64| limits.iter().any(|limit| limit.count < each * uses);
        let asks = tight(&rules.peer_issue, 1) || tight(&rules.peer_check, 3);
        let connects = tight(&rules.peer_handshake, 1) && (knobs.fresh || role == Role::Migrants);
        if role.is_honest() && (asks && !knobs.backend || connects) {
            return Err(format!(
                "{each} sign-ups of one peer are more than its limits allow; give it more peers"
            ));
        }
        Ok(())
    }

    /// How many stories of a role to expect.
    fn expected(&self, role: Role) -> f64 {
        let part = |knobs: &Knobs| {
            let spike = if knobs.spike > 0.0 { (2.0 + knobs.spike) / 3.0 } else { 1.0 };
            knobs.rate * self.seconds * spike
        };
        self.parts.get(&role).map_or(0.0, part)
    }
}
