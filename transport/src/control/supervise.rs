//! Supervises the control plane's tasks: a task that panics or ends is restarted, without affecting
//! the others.
//!
//! ```text
//!   keep ─▶ runs ── panic, or unexpected end ─▶ down ── pause ─▶ runs …
//!             └─ after CONTROL_STEADY the next pause is the first again
//!
//!   pauses: CONTROL_RESTART, doubled each time, CONTROL_RESTART_MAX at most
//! ```
//!
//! Lanes continue with their last snapshots. State that must survive a panic (unwritten
//! revocations, reported alarms) is owned outside the task. A task that is down is reported in the
//! log, in `/metrics` and by `/readyz`: see [`ControlHealth`].

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{Instant, sleep};

use crate::limits::{CONTROL_RESTART, CONTROL_RESTART_MAX, CONTROL_STEADY};

/// The tasks of the control plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// Reads the store and publishes the key book.
    Keeper,
    /// Listens for changes by other processes.
    News,
    /// Reloads the config on SIGHUP.
    Reload,
    /// Reloads the certificate when its files change, and warns before it expires.
    Certificate,
    /// Mails the service's own alerts.
    Watch,
    /// Revokes exposed keys if `keys.revoke_exposed` is set.
    Exposure,
    /// Accepts connections to the admin listener.
    Admin,
}

impl Task {
    const ALL: [(Self, &str); 7] = [
        (Self::Keeper, "keeper"),
        (Self::News, "news"),
        (Self::Reload, "reload"),
        (Self::Certificate, "certificate"),
        (Self::Watch, "watch"),
        (Self::Exposure, "exposure"),
        (Self::Admin, "admin"),
    ];

    const fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

/// State of the tasks. Written by the control thread; read by lanes and probes.
#[derive(Debug, Default)]
pub struct ControlHealth {
    down: [AtomicBool; Task::ALL.len()],
    restarts: [AtomicU64; Task::ALL.len()],
    /// Whether the thread itself has ended, with all of them.
    ended: AtomicBool,
}

impl ControlHealth {
    /// False while changes of keys can't take effect; the server is then not ready. Callers don't
    /// notice when other tasks fail, so those don't affect readiness.
    pub(crate) fn heeds_changes(&self) -> bool {
        !self.ended.load(Ordering::Relaxed) && !self.down[Task::Keeper as usize].load(Ordering::Relaxed)
    }

    /// Names of the tasks that wait to be restarted.
    pub(crate) fn down(&self) -> Vec<&'static str> {
        let is_down = |task: Task| self.down[task as usize].load(Ordering::Relaxed);
        Task::ALL.iter().filter(|(task, _)| is_down(*task)).map(|(_, name)| *name).collect()
    }

    /// Restarts of each task.
    pub(crate) fn restarts(&self) -> [(&'static str, u64); Task::ALL.len()] {
        Task::ALL.map(|(task, name)| (name, self.restarts[task as usize].load(Ordering::Relaxed)))
    }

    /// Records that the control thread has ended and will not be restarted: keys stay as they are
    /// until the process restarts.
    pub(crate) fn note_end(&self) {
        if !self.ended.swap(true, Ordering::Relaxed) {
            tracing::error!("the control plane has ended; live codes keep working, changes need a restart");
        }
    }

    fn set_down(&self, task: Task, down: bool) {
        self.down[task as usize].store(down, Ordering::Relaxed);
        if down {
            self.restarts[task as usize].fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Runs the future that `begin` makes, and restarts it whenever it ends, until the handle is
/// aborted.
pub(super) fn keep<F: Future<Output = ()>>(
    health: &Arc<ControlHealth>,
    task: Task,
    mut begin: impl FnMut() -> F + 'static,
) -> JoinHandle<()> {
    let health = health.clone();
    spawn_local(async move {
        let mut pauses = Pauses::default();
        loop {
            let began = Instant::now();
            let run = async { or_injected_panic(task, begin()).await };
            // The failed task is dropped before the next one starts; the panic hook has logged the
            // place.
            let _panicked = AssertUnwindSafe(run).catch_unwind().await;
            let pause = pauses.after(began.elapsed());
            health.set_down(task, true);
            let pause_ms = pause.as_millis() as u64;
            tracing::error!(task = task.name(), pause_ms, "a control task has failed and begins anew");
            sleep(pause).await;
            health.set_down(task, false);
        }
    })
}

/// Pauses between restarts.
#[derive(Default)]
struct Pauses {
    last: Option<Duration>,
}

impl Pauses {
    /// The pause after a run that lasted `ran`.
    fn after(&mut self, ran: Duration) -> Duration {
        let before = self.last.filter(|_| ran < CONTROL_STEADY);
        let pause = before.map_or(CONTROL_RESTART, |before| (before * 2).min(CONTROL_RESTART_MAX));
        self.last = Some(pause);
        pause
    }
}

/// Runs the task, or panics when a test requests it.
#[cfg(debug_assertions)]
async fn or_injected_panic(task: Task, run: impl Future<Output = ()>) {
    tokio::select! {
        () = run => {}
        () = crate::ground::fault::control(task.name()) => {}
    }
}

#[cfg(not(debug_assertions))]
async fn or_injected_panic(_task: Task, run: impl Future<Output = ()>) {
    run.await;
}

#[cfg(test)]
#[allow(clippy::panic, reason = "a task that fails is the point")]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use tokio::task::LocalSet;

    use super::*;

    #[test]
    fn pauses_double_up_to_their_bound_and_begin_anew_after_a_steady_run() {
        let (mut pauses, short) = (Pauses::default(), CONTROL_STEADY - Duration::from_millis(1));
        let millis: Vec<u128> = (0..9).map(|_| pauses.after(short).as_millis()).collect();
        assert_eq!(millis, [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000]);
        assert_eq!(pauses.after(CONTROL_STEADY), CONTROL_RESTART);
        assert_eq!(pauses.after(short), CONTROL_RESTART * 2);
    }

    #[tokio::test]
    async fn a_task_that_panics_or_ends_runs_again_and_is_told_of() {
        let (health, runs) = (Arc::<ControlHealth>::default(), Rc::new(Cell::new(0_u64)));
        let (of_task, of_test) = (runs.clone(), health.clone());
        let local = LocalSet::new();
        let runs_again = async {
            let kept = keep(&health, Task::Keeper, move || {
                of_task.set(of_task.get() + 1);
                let nth = of_task.get();
                async move {
                    match nth {
                        1 => panic!("by a bug"),
                        2 => {}
                        _ => std::future::pending().await,
                    }
                }
            });
            while of_test.down().is_empty() {
                sleep(Duration::from_millis(1)).await;
            }
            assert!(!of_test.heeds_changes());
            while runs.get() < 3 {
                sleep(Duration::from_millis(1)).await;
            }
            kept.abort();
        };
        local.run_until(runs_again).await;
        assert!(health.heeds_changes() && health.down().is_empty());
        assert_eq!(health.restarts()[Task::Keeper as usize], ("keeper", 2));
    }
}
