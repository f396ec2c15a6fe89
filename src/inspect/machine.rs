//! The machine: whether it has room for a gateway. Never: a reason to stop anything, because a small machine is only slow.

use serde_json::json;

use crate::domain::Place;
use crate::domain::check::Finding;
use crate::doors::{disk, system};

/// What one gateway for one person needs beside a core: LiteLLM takes 309 MiB at rest, and its packages 800 MB of disk.
const MEMORY_NEEDED: u64 = 512 << 20;
const DISK_NEEDED: u64 = 1 << 30;

/// What the machine reports; `None`: it does not.
#[derive(Debug, Clone, Copy)]
struct Room {
    cores: Option<usize>,
    memory: Option<u64>,
    disk: Option<u64>,
}

/// Compares this machine with what the gateway needs.
pub fn large_enough(place: &Place) -> Finding {
    let disk = disk::free_space(&disk::nearest_existing(&place.target)).map(|(bytes, _)| bytes);
    judge(Room { cores: system::cores(), memory: system::memory(), disk })
}

fn judge(room: Room) -> Finding {
    let Room { cores, memory, disk } = room;
    let megabytes = |bytes: u64| bytes >> 20;
    let mut little = Vec::new();
    little.extend(cores.filter(|cores| *cores < 1).map(|_| "no core".to_owned()));
    little
        .extend(memory.filter(|it| *it < MEMORY_NEEDED).map(|it| format!("{} MB of memory", megabytes(it))));
    little.extend(disk.filter(|it| *it < DISK_NEEDED).map(|it| format!("{} MB of free disk", megabytes(it))));
    let finding = if !little.is_empty() {
        Finding::warn(format!(
            "this machine has {}; a gateway needs 1 core, 512 MB of memory and 1 GB of disk",
            little.join(" and ")
        ))
    } else if cores.or(memory.map(|_| 1)).is_none() {
        Finding::skip("the machine does not report its cores and memory")
    } else {
        Finding::pass("this machine is large enough for a gateway")
    };
    finding.details(json!({ "cores": cores, "memory_bytes": memory, "free_bytes": disk }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::check::Status;

    #[test]
    fn a_machine_that_is_too_small_is_reported() {
        let gigabyte = Some(1 << 30);
        for (cores, memory, disk, status) in [
            (Some(1), Some(512 << 20), gigabyte, Status::Pass),
            (Some(64), None, None, Status::Pass),
            (None, gigabyte, gigabyte, Status::Pass),
            (Some(1), Some(511 << 20), gigabyte, Status::Warn),
            (Some(1), gigabyte, Some(1023 << 20), Status::Warn),
            (Some(0), gigabyte, gigabyte, Status::Warn),
            (None, None, gigabyte, Status::Skip),
        ] {
            let room = Room { cores, memory, disk };
            assert_eq!(judge(room).status, status, "{room:?}");
        }
        let said = judge(Room { cores: Some(2), memory: Some(100 << 20), disk: Some(50 << 20) }).message;
        assert!(said.contains("100 MB of memory and 50 MB of free disk"), "{said}");
    }
}
