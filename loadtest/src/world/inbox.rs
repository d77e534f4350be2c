//! One inbox as the server must see it: its budget, each peer's share of it, the guesses at its codes.
use std::collections::HashMap;
use std::net::Ipv4Addr;

use super::{Lines, Span, close};
use crate::book::{Book, Counted, Ruling};
use crate::limits::{Limit, Rules};
use crate::wire::{Answer, Seen};

/// One inbox, however it is spelled.
#[derive(Default)]
pub(super) struct InboxModel {
    pub(super) mails: Book,
    pub(super) shares: HashMap<Ipv4Addr, Book>,
    pub(super) guesses: Book,
}

impl InboxModel {
    pub(super) fn hear(
        &mut self,
        rules: &Rules,
        peer: Option<Ipv4Addr>,
        lines: &Lines,
        (sent, answered): Span,
        seen: &Seen,
    ) -> Option<String> {
        let ruling = |book: &Book, limits: &[Limit], ticket: Option<u64>| {
            ticket.map_or(Ruling::MustAccept, |ticket| book.ruling(limits, ticket, sent, answered))
        };
        let budget = ruling(&self.mails, &rules.recipient_issue, lines.mails);
        let share = peer.and_then(|peer| self.shares.get(&peer));
        let own =
            share.map_or(Ruling::MustAccept, |book| ruling(book, &rules.recipient_peer_issue, lines.share));
        let finding = match seen {
            Seen::Answer(answer) if answer.status == 202 && budget == Ruling::MustRefuse => {
                Some("a mail past limits.recipient.issue".to_owned())
            }
            Seen::Answer(answer) if answer.status == 202 && own == Ruling::MustRefuse => {
                Some("a mail past limits.recipient_peer.issue".to_owned())
            }
            Seen::Answer(answer) if answer.status == 202 => self.digits(rules, (sent, answered), answer),
            Seen::Answer(answer)
                if answer.is_limited_by("recipient") && [budget, own] == [Ruling::MustAccept; 2] =>
            {
                Some("429 recipient while the inbox had room".to_owned())
            }
            Seen::Answer(answer) if answer.is_limited_by("recipient") => {
                let too_short = answer.retry_after().is_some_and(|wait| {
                    let full = |book: &Book, limits| book.is_full_after(limits, sent, answered + wait);
                    full(&self.mails, &rules.recipient_issue)
                        || share.is_some_and(|book| full(book, &rules.recipient_peer_issue))
                });
                too_short.then(|| "retry-after that is not enough".to_owned())
            }
            _ => None,
        };
        let counted = |status: u16| match seen {
            Seen::Answer(answer) if answer.status == status => Counted::Yes,
            Seen::Answer(_) => Counted::No,
            Seen::Nothing(_) => Counted::Perhaps,
        };
        close(&mut self.mails, lines.mails, answered, counted(202));
        close(&mut self.guesses, lines.guess, answered, counted(200));
        if let Some(book) = peer.and_then(|peer| self.shares.get_mut(&peer)) {
            close(book, lines.share, answered, counted(202));
        }
        finding
    }

    /// Whether a new code is as long as the guesses at this inbox demand. It may be longer once there are any,
    /// as a server may count those that are still to come; at an inbox nobody guesses at, it may not.
    fn digits(&self, rules: &Rules, (sent, answered): Span, answer: &Answer) -> Option<String> {
        // No line of its own: an issue is no guess.
        let at = |limits: Vec<Limit>| self.guesses.ruling(&limits, 0, sent, answered);
        let times =
            |factor| rules.guess.iter().map(move |limit| Limit { count: limit.count * factor, ..*limit });
        let [once, twice] = [1, 2].map(|factor| at(times(factor).collect()));
        let any = at(times(1).map(|limit| Limit { count: 1, ..limit }).collect());
        let digits = |twice, once| match () {
            () if twice => 10,
            () if once => 8,
            () => 6,
        };
        let bounds = digits(twice == Ruling::MustRefuse, once == Ruling::MustRefuse)
            ..=digits(twice != Ruling::MustAccept, any != Ruling::MustAccept);
        let length = answer.json().get("code_length").and_then(serde_json::Value::as_u64).unwrap_or(0);
        let text = || format!("{length} digits where the guesses at the inbox demand {}", bounds.start());
        (!bounds.contains(&length)).then(text)
    }
}
