//! Other processes, as the kernel shows them. Reads only, and never more than a bounded part.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

/// More than any `stat` line; enough for the names in an ordinary environment.
const STAT_CAP: u64 = 4096;
const ENVIRON_CAP: u64 = 1 << 20;

/// Whether processes can be looked up in `/proc`.
pub fn are_listed() -> bool {
    Path::new("/proc/self/stat").exists()
}

/// The text of `/proc/PID/stat`; `None` if there is no such process.
pub fn stat(pid: i32) -> Option<String> {
    let bytes = head(Path::new(&format!("/proc/{pid}/stat")), STAT_CAP)?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The environment with which a process of this user began; `None` if it cannot be seen.
pub fn environment(pid: i32) -> Option<Vec<u8>> {
    head(Path::new(&format!("/proc/{pid}/environ")), ENVIRON_CAP)
}

/// The text of `/proc/uptime`.
pub fn uptime() -> Option<String> {
    String::from_utf8(head(Path::new("/proc/uptime"), STAT_CAP)?).ok()
}

/// The id of this machine, and the namespace in which the pids of this process count; empty where there is none.
pub fn machine_and_namespace() -> (String, String) {
    let machine = head(Path::new("/etc/machine-id"), STAT_CAP).unwrap_or_default();
    let namespace = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    (String::from_utf8_lossy(&machine).into_owned(), namespace.to_string_lossy().into_owned())
}

/// Whether a program on this machine hears at once that a file in `dir` changed. The kernel reports no change that
/// another machine makes, and none at all where this user may hold no watch.
pub fn changes_are_reported(dir: &Path) -> bool {
    let limit = head(Path::new("/proc/sys/user/max_inotify_instances"), STAT_CAP);
    let forbidden = limit.is_some_and(|limit| limit.trim_ascii() == b"0");
    !forbidden && !is_remote(dir)
}

/// Whether a file system is of a kind that other machines or the host of a virtual machine write, too.
#[cfg(target_os = "linux")]
fn is_remote(dir: &Path) -> bool {
    // NFS, SMB (two numbers), 9P, FUSE, Ceph, AFS, Lustre, GPFS, VirtualBox.
    const KINDS: [u32; 10] = [
        0x6969, 0xff53_4d42, 0xfe53_4d42, 0x0102_1997, 0x6573_5546, 0x00c3_6400, 0x5346_414f, 0x0bd0_0bd0,
        0x4750_4653, 0x786f_4256,
    ];
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    rustix::fs::statfs(dir).is_ok_and(|fs| KINDS.contains(&(fs.f_type as u32)))
}

#[cfg(not(target_os = "linux"))]
fn is_remote(_: &Path) -> bool {
    false
}

fn head(path: &Path, cap: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(cap).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_there_and_no_process_has_the_largest_number() {
        let me = i32::try_from(std::process::id()).unwrap();
        assert_eq!(stat(me).is_some(), are_listed());
        assert_eq!(stat(i32::MAX), None);
        assert_eq!(environment(i32::MAX), None);
        assert!(!is_remote(Path::new("/no/such/directory")));
    }
}
