//! The actor of a shard: it reads the lane's messages and runs the sweep. All decisions are the
//! lane's.

use std::time::Duration;

use actix::{Actor, AsyncContext, Context, StreamHandler};

use super::Lane;
use super::channels::{Incoming, Vital};
use crate::stack::wipe_stack;

const SWEEP_EVERY: Duration = Duration::from_millis(500);

pub(super) struct ShardActor {
    pub(super) lane: Lane,
    /// If the actor stops reading, the process must not look alive.
    pub(super) _vital: Vital,
}

impl Actor for ShardActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.run_interval(SWEEP_EVERY, |actor, context| actor.sweep(context));
    }
}

impl ShardActor {
    /// Sweeps a bounded number of records; the rest after the waiting tasks have run.
    fn sweep(&mut self, context: &mut Context<Self>) {
        // Sends the backlog to lanes whose channel was full.
        self.lane.wake_flusher();
        let swept = self.lane.with_shard(|shard, now| (shard.sweep(now.at), now.at));
        let Some((is_more, now)) = swept else { return };
        // Outside `with_shard`: watchers of bans and of expiries may call the shard.
        self.lane.0.bans.sweep(now);
        self.lane.tell_expired();
        wipe_stack();
        if is_more {
            context.run_later(Duration::from_millis(1), |actor, context| actor.sweep(context));
        }
    }
}

impl StreamHandler<Incoming> for ShardActor {
    fn handle(&mut self, post: Incoming, _: &mut Self::Context) {
        self.lane.receive(post);
        wipe_stack();
    }
}
