//! What every fuzz target does: hold its property of `tests/properties`, within its memory.
//!
//! libFuzzer calls a panic a finding. Memory is counted here, by the allocator, so that the bound is exact, holds in a
//! build without a sanitizer, and names the input.

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

#[path = "../properties/mod.rs"]
mod properties;

pub use libfuzzer_sys;

/// The bytes that are allocated now, and the most since the last input began.
static NOW: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Relaxed) + layout.size();
        MOST.fetch_max(now, Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// Holds the property of target `name` for one input.
pub fn hold(name: &str, bytes: &[u8]) {
    let target = properties::target(name);
    let before = NOW.load(Relaxed);
    MOST.store(before, Relaxed);
    (target.holds)(bytes);
    let used = MOST.load(Relaxed) - before;
    assert!(used <= target.memory, "{used} bytes of memory for an input of {}", bytes.len());
}

/// Writes the seeds of target `name` into the directory that the environment names, before libFuzzer reads it.
pub fn plant(name: &str) {
    let Some(dir) = std::env::var_os("GWINSTALL_FUZZ_SEEDS") else { return };
    for (number, seed) in (properties::target(name).seeds)().iter().enumerate() {
        std::fs::write(Path::new(&dir).join(format!("seed-{number}")), seed).unwrap();
    }
}

/// The whole of a fuzz target: its name.
#[macro_export]
macro_rules! target {
    ($name:literal) => {
        $crate::libfuzzer_sys::fuzz_target!(init: $crate::plant($name), |bytes: &[u8]| $crate::hold($name, bytes));
    };
}
