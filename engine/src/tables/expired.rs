//! The verifications that the sweep has ended, for operators' events. Off until somebody asks.

use std::collections::VecDeque;

use crate::identity::{Mode, Owner};
use crate::limits::EXPIRED_NEWS;
use crate::request::Expired;
use crate::route::IdDigest;

/// The expired verifications not yet taken. Owned by the shard.
#[derive(Default)]
pub(crate) struct ExpiredLog(Option<VecDeque<Expired>>);

impl ExpiredLog {
    /// Records the end of a verification. Drops the oldest entry if the log is full.
    pub(crate) fn note(&mut self, id: IdDigest, owner: Owner) {
        let Some(log) = &mut self.0 else { return };
        if owner.mode == Mode::Live {
            if log.len() == EXPIRED_NEWS {
                log.pop_front();
            }
            log.push_back(Expired { id, project: owner.project });
        }
    }

    pub(crate) fn take(&mut self) -> Vec<Expired> {
        self.0.get_or_insert_default().drain(..).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::ProjectId;
    use crate::testing::Seeded;

    #[test]
    fn nothing_is_kept_until_somebody_asks_and_never_more_than_the_newest() {
        let keys = crate::route::StartKeys::draw(&mut Seeded::new(1));
        let of = |n: usize, mode: Mode| {
            (
                keys.scoped::<IdDigest>("id", &[&n.to_le_bytes(), mode.name().as_bytes()]),
                Owner { project: ProjectId(1), mode },
            )
        };
        let mut log = ExpiredLog::default();
        let note = |log: &mut ExpiredLog, n, mode| {
            let (id, owner) = of(n, mode);
            log.note(id, owner);
        };
        note(&mut log, 0, Mode::Live);
        assert!(log.take().is_empty());
        note(&mut log, 1, Mode::Test);
        (0..=EXPIRED_NEWS).for_each(|n| note(&mut log, n, Mode::Live));
        let taken = log.take();
        assert_eq!(taken.len(), EXPIRED_NEWS);
        assert_eq!(taken[0].id, of(1, Mode::Live).0);
        assert!(log.take().is_empty());
    }
}
