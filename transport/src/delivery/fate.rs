//! How a hand-over can end, by whose fault.

use super::breaker::Verdict;

/// How a hand-over that did not fail ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The provider has it.
    Sent,
    /// The provider had all of it and fell silent.
    MaybeSent,
}

/// Why a provider surely did not take a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HandOverFault {
    /// No connection.
    Unreachable,
    /// No TLS where it is demanded, or a certificate nobody trusts.
    Insecure,
    /// The provider does not know us.
    LoginRefused,
    /// The connection ended.
    Lost,
    /// What the provider said is not its protocol, or came out of turn.
    Garbled,
    /// A refusal that may be another one later.
    RefusedForNow,
    /// The provider says that it is going away.
    HangsUp,
    /// A refusal for good.
    Refused,
    /// The provider knows that nobody is there.
    NoSuchRecipient,
    /// The address takes SMTPUTF8, which the relay does not speak.
    NeedsUtf8,
    /// The send took too long.
    TimedOut,
    /// The code expired before the hand-over ended.
    Expired,
    /// The outbox can't be written.
    Unwritable,
    /// No mail can be made for this address.
    Unmailable,
}

impl HandOverFault {
    /// Whether the same provider would say the same a minute later.
    pub(super) fn is_final(self) -> bool {
        matches!(self, Self::Refused | Self::NoSuchRecipient | Self::NeedsUtf8 | Self::Unmailable)
    }

    /// Whether it is about one mail and tells nothing of its provider.
    fn is_of_the_mail(self) -> bool {
        self.is_final() || matches!(self, Self::RefusedForNow | Self::Expired)
    }
}

/// What the end of a hand-over says about its provider.
pub(super) fn verdict(ended: Result<Fate, HandOverFault>) -> Verdict {
    match ended {
        Ok(Fate::Sent) => Verdict::Works,
        Err(fault) if fault.is_of_the_mail() => Verdict::Unclear,
        // Silence after the last byte is what a dying relay does.
        Ok(Fate::MaybeSent) | Err(_) => Verdict::Trouble,
    }
}
