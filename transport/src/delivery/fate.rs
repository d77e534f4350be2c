//! Results of a hand-over, and what each says about the provider.

use super::breaker::Verdict;

/// Result of a hand-over that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The provider has it.
    Sent,
    /// The provider received the whole mail but did not answer.
    MaybeSent,
}

/// Why a provider certainly did not take a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HandOverFault {
    /// No connection.
    Unreachable,
    /// TLS is required but not offered, or the certificate is not trusted.
    Insecure,
    /// The provider refused our credentials.
    LoginRefused,
    /// The connection ended.
    Lost,
    /// The provider's answer violates its protocol, or came out of turn.
    Garbled,
    /// A temporary refusal.
    RefusedForNow,
    /// The provider is shutting down.
    HangsUp,
    /// A permanent refusal.
    Refused,
    /// The provider says that the mailbox does not exist.
    NoSuchRecipient,
    /// The address needs SMTPUTF8, which the relay does not support.
    NeedsUtf8,
    /// The send took too long before the relay was given the recipient.
    TimedOut,
    /// The send took too long after it. A relay may ask the recipient's own host before it answers.
    Stalled,
    /// The code expired before the hand-over ended.
    Expired,
    /// The outbox can't be written.
    Unwritable,
    /// No message can be built for this address.
    Unmailable,
}

impl HandOverFault {
    /// Whether the same provider would give the same answer a minute later.
    pub(super) fn is_final(self) -> bool {
        matches!(self, Self::Refused | Self::NoSuchRecipient | Self::NeedsUtf8 | Self::Unmailable)
    }

    /// Whether it concerns one mail and says nothing about the provider.
    fn is_of_the_mail(self) -> bool {
        self.is_final() || matches!(self, Self::RefusedForNow | Self::Expired)
    }
}

/// What a result says about the provider. `asks_hosts`: it may have asked the recipient's host before
/// it answered, as mail relays do.
pub(super) fn verdict(ended: Result<Fate, HandOverFault>, asks_hosts: bool) -> Verdict {
    match ended {
        Ok(Fate::Sent) => Verdict::Works,
        Ok(Fate::MaybeSent) | Err(HandOverFault::Stalled) if asks_hosts => Verdict::Suspect,
        Err(fault) if fault.is_of_the_mail() => Verdict::Unclear,
        Ok(Fate::MaybeSent) | Err(_) => Verdict::Trouble,
    }
}
