//! A slower core: a program that takes it away for most of every few milliseconds.
//!
//! One core can't ask twenty times as much as another can answer, where a request costs either about the same.
//! So the server's core is made slow: this program runs there before everybody else (`SCHED_FIFO`), spins, and
//! leaves [`FREE`] at a time. To the server it is a core with a fraction of its speed, interrupted for a
//! millisecond or two, which is less than its sockets hold. The kernel's work for what arrives is done on the
//! sender's core and stays as fast as it was.
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use authepy_benches::cpu;
use nix::unistd::getppid;

/// What is left to the server at a time: long enough that caches are worth filling.
const FREE: Duration = Duration::from_micros(200);
/// Whatever happens, the core is free again after that.
const LIFE: Duration = Duration::from_secs(900);

/// The program under way; the core is free again once it is dropped.
pub(crate) struct SlowCore(Child);

impl Drop for SlowCore {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

impl SlowCore {
    /// Leaves `share` of the core that the calling thread is bound to.
    ///
    /// # Errors
    /// Nobody here may run before others.
    pub(crate) fn start(share: f64) -> Result<Self, String> {
        let itself = std::env::current_exe().map_err(|error| error.to_string())?;
        let arguments = |command: &mut Command| {
            command.args(["slow-core", "--share", &share.to_string()]).stdin(Stdio::null());
        };
        let mut first = Command::new("chrt");
        arguments(first.args(["-f", "1"]).arg(Path::new(&itself)));
        let mut child = first.spawn().map_err(|error| format!("chrt: {error}"))?;
        std::thread::sleep(Duration::from_millis(100));
        match child.try_wait() {
            Ok(None) => Ok(Self(child)),
            _ => Err("chrt -f 1: not permitted; CAP_SYS_NICE is needed".into()),
        }
    }
}

/// What the child does.
pub(crate) fn spin(share: f64) {
    let (parent, end) = (getppid(), cpu::now() + LIFE);
    let busy = FREE.mul_f64((1.0 / share.clamp(0.005, 1.0)) - 1.0);
    // Its parent's death ends it, and would leave it to somebody else.
    while getppid() == parent && cpu::now() < end {
        let until = cpu::now() + busy;
        while cpu::now() < until {
            std::hint::spin_loop();
        }
        std::thread::sleep(FREE);
    }
}
