//! What a command asks, kept aside before the shard takes it.

use authepy_engine::code::Code;
use authepy_engine::identity::Owner;
use authepy_engine::request::{Charge, Command, HandOver, Issue};
use authepy_engine::route::{IdDigest, NonceDigest, PeerShare};

/// As far as the watch needs it.
pub(crate) enum Facts {
    Issue(Issue),
    Check { id: IdDigest, owner: Owner, code: Code, nonce: Option<NonceDigest> },
    Resend { id: IdDigest, owner: Owner, peer: Option<PeerShare> },
    Cancel(IdDigest, Owner),
    Status(IdDigest, Owner),
    HandOver(HandOver),
    Charge(Charge),
    Other,
}

impl Facts {
    pub(crate) fn of(command: &Command) -> Self {
        match command {
            Command::Issue(issue) => Self::Issue(Issue::clone(issue)),
            Command::Check(check) => Self::Check {
                id: check.slot.id.digest(),
                owner: check.slot.owner,
                code: check.code.clone(),
                nonce: check.nonce,
            },
            Command::Resend(resend) => {
                Self::Resend { id: resend.slot.id.digest(), owner: resend.slot.owner, peer: resend.peer }
            }
            Command::Cancel(slot) => Self::Cancel(slot.id.digest(), slot.owner),
            Command::Status(slot) => Self::Status(slot.id.digest(), slot.owner),
            Command::HandOver(word) => Self::HandOver(word.clone()),
            Command::Charge(charge) => Self::Charge(*charge),
            _ => Self::Other,
        }
    }

    /// The verification it names, and who names it.
    pub(crate) fn names(&self) -> Option<(IdDigest, Owner)> {
        match *self {
            Self::Check { id, owner, .. } | Self::Resend { id, owner, .. } => Some((id, owner)),
            Self::Cancel(id, owner) | Self::Status(id, owner) => Some((id, owner)),
            _ => None,
        }
    }
}
