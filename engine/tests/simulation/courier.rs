//! Mail with faults: it arrives late or not at all, and never twice; what is said about it may be wrong, late, said
//! twice or never.

use authepy_engine::testing::Seeded;

use crate::sabotage::Sabotage;

/// Decides by lot.
pub(crate) struct Courier {
    random: Seeded,
    words: Vec<(u64, bool)>,
}

impl Courier {
    pub(crate) fn new(seed: u64) -> Self {
        Self { random: Seeded::new(seed.rotate_left(17) ^ 0xc0), words: Vec::new() }
    }

    /// Takes a mail, and says when each copy arrives; `None` if it is lost. The relay's word about it can be had
    /// from [`Courier::words`] then.
    pub(crate) fn take_mail(&mut self, sabotage: Sabotage) -> Vec<Option<u64>> {
        let copies = if sabotage == Sabotage::MailGoesOutTwice && self.random.below(5) == 0 { 2 } else { 1 };
        let lost = self.random.below(10) == 0;
        // A relay that can't be reached is known to have failed; one that lost the mail later said yes.
        let accepted = !lost || self.random.below(2) == 0;
        self.words = match self.random.below(20) {
            0 => Vec::new(),
            1 => vec![(self.span(), accepted), (self.span(), accepted)],
            // A connection that broke after the last dot: taken, as far as anybody knows.
            2 => vec![(self.span(), true)],
            _ => vec![(self.span(), accepted)],
        };
        (0..copies).map(|_| Some(self.span()).filter(|_| !lost)).collect()
    }

    pub(crate) fn words(&self) -> Vec<(u64, bool)> {
        self.words.clone()
    }

    pub(crate) fn spoke_twice(&self) -> bool {
        self.words.len() == 2
    }

    fn span(&mut self) -> u64 {
        match self.random.below(12) {
            0 => self.random.below(600_000),
            1 | 2 => self.random.below(20_000),
            _ => self.random.below(800),
        }
    }
}
