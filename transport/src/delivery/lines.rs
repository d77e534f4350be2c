//! Per-project lines of mails that wait to be sent.
//!
//! ```text
//!   ring ──▶ project 1: mail, mail, mail …  ─┐
//!   due  ──▶ project 2: mail                 ├─ in turn ─▶ next send, unless the project has its share of sends
//!            the service's alerts: mail     ─┘
//! ```
//!
//! A burst of one project, or its unreachable recipients, must not delay the other projects' codes:
//! projects take turns, and each has at most as many sends in progress as are still free. Bounded
//! by the queue's places, which the mails still hold: a line (about 200 B) exists only while a mail
//! waits or is in progress.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::places::{Holder, may_hold};
use super::queue::Queued;

#[derive(Default)]
struct Line {
    waiting: VecDeque<Queued>,
    /// Every mail in progress holds a clone, so the reference count stays right however a send
    /// ends.
    under_way: Arc<()>,
}

impl Line {
    fn under_way(&self) -> usize {
        Arc::strong_count(&self.under_way) - 1
    }
}

/// Counts a mail as in progress for its project, until dropped.
pub(super) struct Turn {
    holder: Holder,
    _under_way: Arc<()>,
}

/// See the module documentation. Owned by the courier's loop.
#[derive(Default)]
pub(super) struct Lines {
    lines: HashMap<Holder, Line>,
    /// Projects with waiting mails, each once, in the order of their turns.
    turns: VecDeque<Holder>,
    mails: usize,
}

impl Lines {
    /// Adds a mail at the end of its project's line.
    pub(super) fn push(&mut self, mail: Queued) {
        self.line(mail.holder()).push_back(mail);
    }

    /// Adds a mail at the head of its project's line, because it has waited before.
    pub(super) fn push_first(&mut self, mail: Queued) {
        self.line(mail.holder()).push_front(mail);
    }

    fn line(&mut self, holder: Holder) -> &mut VecDeque<Queued> {
        let waiting = &mut self.lines.entry(holder).or_default().waiting;
        if waiting.is_empty() {
            self.turns.push_back(holder);
        }
        self.mails += 1;
        waiting
    }

    /// The next mail that may be sent while `free` sends are free. Its [`Turn`] must be passed to
    /// [`Self::ended`].
    pub(super) fn next(&mut self, free: usize) -> Option<(Queued, Turn)> {
        let left = free.checked_sub(1)?;
        for _ in 0..self.turns.len() {
            let holder = self.turns.pop_front()?;
            let Some(line) = self.lines.get_mut(&holder) else { continue };
            let under_way = line.under_way();
            let mail =
                if may_hold(under_way + 1, left, under_way == 0) { line.waiting.pop_front() } else { None };
            if !line.waiting.is_empty() {
                self.turns.push_back(holder);
            }
            if let Some(mail) = mail {
                self.mails -= 1;
                return Some((mail, Turn { holder, _under_way: line.under_way.clone() }));
            }
        }
        None
    }

    /// Records that a send ended; removes the line if it is empty.
    pub(super) fn ended(&mut self, turn: Turn) {
        let holder = turn.holder;
        drop(turn);
        if self.lines.get(&holder).is_some_and(|line| line.waiting.is_empty() && line.under_way() == 0) {
            self.lines.remove(&holder);
        }
    }

    /// Number of waiting mails.
    pub(super) fn len(&self) -> usize {
        self.mails
    }

    /// Number of projects with waiting mails.
    pub(super) fn projects(&self) -> usize {
        self.turns.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::queue::tests::queued;

    /// The projects whose mails are sent next if no send ends.
    fn started(lines: &mut Lines, free: usize) -> (Vec<u32>, Vec<Turn>) {
        let sends = (0..free).map_while(|busy| lines.next(free - busy)).map(|(mail, turn)| {
            let Holder::Project(project) = mail.holder() else { panic!() };
            (project.0, turn)
        });
        sends.unzip()
    }

    #[test]
    fn projects_take_turns_however_long_one_of_them_waits() {
        let mut lines = Lines::default();
        for mail in queued(1, 100).into_iter().chain(queued(2, 2)).chain(queued(3, 1)) {
            lines.push(mail);
        }
        assert_eq!((lines.len(), lines.projects()), (103, 3));
        let (order, _turns) = started(&mut lines, 48);
        assert_eq!(&order[..6], [1, 2, 3, 1, 2, 1]);
        assert_eq!(lines.projects(), 1);
    }

    #[test]
    fn one_project_has_half_of_the_sends_and_the_next_one_a_part_of_the_rest() {
        let mut lines = Lines::default();
        queued(1, 100).into_iter().for_each(|mail| lines.push(mail));
        let (first, turns) = started(&mut lines, 48);
        assert_eq!(first.len(), 24);
        queued(2, 100).into_iter().for_each(|mail| lines.push(mail));
        let (second, _turns) = started(&mut lines, 24);
        assert_eq!((second.len(), second[0]), (12, 2), "the sends that end first need not be waited for");
        turns.into_iter().for_each(|turn| lines.ended(turn));
        let (third, _turns) = started(&mut lines, 36);
        assert_eq!(third.iter().filter(|project| **project == 1).count(), 14, "the other has 20 then");
    }

    #[test]
    fn with_one_send_there_is_one_mail_at_a_time() {
        let mut lines = Lines::default();
        queued(1, 2).into_iter().for_each(|mail| lines.push(mail));
        let (mail, turn) = lines.next(1).unwrap();
        assert!(lines.next(0).is_none());
        drop(mail);
        lines.ended(turn);
        let (mail, turn) = lines.next(1).unwrap();
        drop(mail);
        lines.ended(turn);
        assert!(lines.lines.is_empty() && lines.turns.is_empty() && lines.len() == 0, "nothing is kept");
    }

    #[test]
    fn a_send_that_breaks_off_gives_its_turn_back() {
        let mut lines = Lines::default();
        queued(1, 3).into_iter().for_each(|mail| lines.push(mail));
        let (order, turns) = started(&mut lines, 2);
        assert_eq!(order.len(), 1);
        drop(turns); // as when a task panics
        assert!(lines.next(2).is_some());
    }
}
