//! Ctrl-C, SIGTERM and SIGHUP as a flag that is asked at safe points.
//!
//! The first signal sets the flag: work before the journal is dropped, work after it is undone, and the process ends
//! with 128 + the signal. A second signal ends the process at once; the next run recovers. A SIGHUP that is ignored
//! from the start (`nohup`) stays ignored.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::domain::{Error, Kind, Result};

struct Flags {
    armed: Arc<AtomicBool>,
    caught: Arc<AtomicUsize>,
}

static FLAGS: OnceLock<Flags> = OnceLock::new();

/// Installs the handlers; called once by `main`. Where that fails the signals keep their default effect, which the
/// journal survives too.
pub fn listen() {
    let flags = FLAGS.get_or_init(|| Flags { armed: Arc::default(), caught: Arc::default() });
    for signal in [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| *signal != SIGHUP || !ignored(SIGHUP))
    {
        let number = usize::try_from(signal).unwrap_or(0);
        // Order matters: on the second signal the first action ends the process before the flags are touched.
        let _ =
            signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&flags.armed));
        let _ = signal_hook::flag::register_usize(signal, Arc::clone(&flags.caught), number);
        let _ = signal_hook::flag::register(signal, Arc::clone(&flags.armed));
    }
}

fn ignored(signal: i32) -> bool {
    let mut now = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: asks only: no new action is given, and the kernel fills in the struct that the pointer leads to. Zeroed,
    // it is a valid value (the default action) also where the call fails.
    let now = unsafe {
        libc::sigaction(signal, std::ptr::null(), now.as_mut_ptr());
        now.assume_init()
    };
    now.sa_sigaction == libc::SIG_IGN
}

/// From now on the first signal ends the process, also while it waits for an answer: for a command that has nothing to undo.
pub fn end_at_once() {
    if let Some(flags) = FLAGS.get() {
        flags.armed.store(true, Ordering::Relaxed);
    }
}

/// Does work of a command that has changed nothing yet: the first signal ends the process, also while it waits for an answer.
pub fn interruptible<T>(work: impl FnOnce() -> T) -> T {
    end_at_once();
    let done = work();
    if let Some(flags) = FLAGS.get() {
        flags.armed.store(false, Ordering::Relaxed);
    }
    done
}

/// An error if a signal has come.
pub fn check() -> Result<()> {
    match FLAGS.get().map_or(0, |flags| flags.caught.load(Ordering::Relaxed)) {
        0 => Ok(()),
        signal => {
            let signal = i32::try_from(signal).unwrap_or(0);
            let name = match signal {
                SIGINT => "Ctrl-C",
                SIGTERM => "SIGTERM",
                _ => "SIGHUP",
            };
            Err(Error::new(Kind::Interrupted(signal), format!("stopped by {name}")))
        }
    }
}
