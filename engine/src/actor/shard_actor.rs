//! The actor of a shard: its inbox, and what it does by itself. Everything it decides, its lane decides.

use std::time::Duration;

use actix::{Actor, AsyncContext, Context, StreamHandler};

use super::Lane;
use super::bans::BanNews;
use super::operator::Visit;
use super::seat::{Answers, Asks, Vital, Word};
use crate::stack::wipe_stack;

const SWEEP_EVERY: Duration = Duration::from_millis(500);

pub(super) struct ShardActor {
    pub(super) lane: Lane,
    /// An inbox that nobody reads would look alive.
    pub(super) _vital: Vital,
}

impl Actor for ShardActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.run_interval(SWEEP_EVERY, |actor, context| actor.sweep(context));
    }
}

impl ShardActor {
    /// Sweeps a bounded number of records; the rest after whoever waits has been served.
    fn sweep(&mut self, context: &mut Context<Self>) {
        // A lane whose channel was full hears the rest of the news now.
        self.lane.wake_flusher();
        let swept = self.lane.with_shard(|shard, now| (shard.sweep(now.at), now.at));
        let Some((is_more, now)) = swept else { return };
        // Outside: who watches the bans, or what expired, may ask the shard.
        self.lane.0.bans.sweep(now);
        self.lane.tell_expired();
        wipe_stack();
        if is_more {
            context.run_later(Duration::from_millis(1), |actor, context| actor.sweep(context));
        }
    }
}

impl StreamHandler<Asks> for ShardActor {
    fn handle(&mut self, asks: Asks, _: &mut Self::Context) {
        // A shard that has failed says so to each of them.
        let _failed =
            self.lane.with_shard(|shard, _| shard.touch(asks.list.iter().map(|(_, command)| command)));
        let answers: Answers =
            asks.list.into_iter().map(|(ticket, command)| (ticket, self.lane.decide(command))).collect();
        // Never full (see the module's doc); an ended lane has nobody left to answer.
        let _ended = self.lane.0.doors.answers[asks.from].try_send(answers);
    }
}

impl StreamHandler<Word> for ShardActor {
    fn handle(&mut self, Word(command): Word, _: &mut Self::Context) {
        let _nobody_waits = self.lane.decide(command);
    }
}

impl StreamHandler<BanNews> for ShardActor {
    fn handle(&mut self, news: BanNews, _: &mut Self::Context) {
        self.lane.0.bans.learn(&news, &self.lane.0.keys, self.lane.now().at);
    }
}

impl StreamHandler<Visit> for ShardActor {
    fn handle(&mut self, visit: Visit, _: &mut Self::Context) {
        self.lane.receive(visit);
    }
}

impl StreamHandler<Answers> for ShardActor {
    fn handle(&mut self, answers: Answers, _: &mut Self::Context) {
        let mut pending = self.lane.0.pending.borrow_mut();
        for (ticket, outcome) in answers {
            pending.settle(ticket, outcome);
        }
    }
}
