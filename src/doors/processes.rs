//! Other processes: by their command line, and as the kernel shows them. Looks only, and never at more than a bounded part.
//!
//! Promise: an argument counts only as a whole; a part of one never does.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{CWD, Mode, OFlags};

use super::system;

/// More than any `stat` line; enough for the names in an ordinary environment.
const STAT_CAP: u64 = 4096;
const ENVIRON_CAP: u64 = 1 << 20;
/// More than most command lines.
const LINE_SIZE: usize = 4096;

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
        0x6969,
        0xff53_4d42,
        0xfe53_4d42,
        0x0102_1997,
        0x6573_5546,
        0x00c3_6400,
        0x5346_414f,
        0x0bd0_0bd0,
        0x4750_4653,
        0x786f_4256,
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

/// The processes of this user that were started with all of these words among their arguments.
pub fn started_with(words: &[&Path]) -> Vec<i32> {
    let candidates = if are_listed() { all() } else { from_ps(words) };
    let fits = |pid: &i32| has_arguments(*pid, words) && system::is_running(*pid);
    candidates.into_iter().filter(fits).collect()
}

/// The processes that were started with a path in `dir` among their arguments.
pub fn using(dir: &Path) -> Vec<i32> {
    if !are_listed() {
        return using_by_ps(dir);
    }
    let inside = |word: &[u8]| Path::new(OsStr::from_bytes(word)).starts_with(dir);
    let uses = |pid: &i32| command_line(*pid).is_some_and(|line| arguments(&line).any(inside));
    all().into_iter().filter(uses).collect()
}

/// Whether a process was started with all of these words.
pub fn has_arguments(pid: i32, words: &[&Path]) -> bool {
    match command_line(pid) {
        Some(line) => words.iter().all(|word| arguments(&line).any(|one| one == word.as_os_str().as_bytes())),
        None => !are_listed() && words.iter().all(|word| ps_shows(pid, word)),
    }
}

/// The argument behind this one on the command line of a process.
pub fn argument_behind(pid: i32, name: &str) -> Option<String> {
    if let Some(line) = command_line(pid) {
        let mut words = arguments(&line).skip_while(|word| *word != name.as_bytes());
        return words.nth(1).map(|word| String::from_utf8_lossy(word).into_owned());
    }
    let line = ask("ps", &["-ww", "-o", "args=", "-p", &pid.to_string()])?;
    line.split_whitespace().skip_while(|word| *word != name).nth(1).map(str::to_owned)
}

/// Every process in /proc.
pub(super) fn all() -> Vec<i32> {
    let numbers =
        |entries: fs::ReadDir| entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    fs::read_dir("/proc").map_or_else(|_| Vec::new(), |entries| numbers(entries).collect())
}

/// The command line of a process, as /proc shows it; `None` if it cannot be seen. Three system calls for most: a machine
/// has hundreds of processes, and a command looks through them more than once. The name of the call sets it apart from those
/// that a transaction makes: `tests/faults` counts calls by their names, and the number of processes varies.
fn command_line(pid: i32) -> Option<Vec<u8>> {
    let (path, flags) = (format!("/proc/{pid}/cmdline"), OFlags::RDONLY | OFlags::CLOEXEC);
    let mut file = File::from(rustix::fs::openat(CWD, path, flags, Mode::empty()).ok()?);
    let mut line = vec![0; LINE_SIZE];
    let read = file.read(&mut line).ok()?;
    line.truncate(read);
    if read == LINE_SIZE {
        file.read_to_end(&mut line).ok()?;
    }
    Some(line)
}

fn arguments(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| *byte == 0)
}

/// macOS has no /proc. The lines are only a first choice: each process is asked by itself afterwards.
fn from_ps(words: &[&Path]) -> Vec<i32> {
    ps_lines(|line| words.iter().all(|word| line.contains(&*word.to_string_lossy())))
}

fn using_by_ps(dir: &Path) -> Vec<i32> {
    let inside = format!(" {}/", dir.display());
    ps_lines(|line| line.contains(&inside))
}

/// The processes whose line fits.
fn ps_lines(fits: impl Fn(&str) -> bool) -> Vec<i32> {
    // A `ps` that fails shows no process.
    let Some(text) = ask("ps", &["-axww", "-o", "pid=,args="]) else { return Vec::new() };
    let pid = |line: &str| line.split_whitespace().next()?.parse().ok();
    text.lines().filter(|line| fits(line)).filter_map(pid).collect()
}

/// `ps` separates words by spaces, which a path may hold as well. `-ww`: without a terminal the `ps` of macOS cuts its
/// lines at 79 columns.
fn ps_shows(pid: i32, path: &Path) -> bool {
    let line = ask("ps", &["-ww", "-o", "args=", "-p", &pid.to_string()]);
    line.is_some_and(|line| format!(" {} ", line.trim_end()).contains(&format!(" {} ", path.display())))
}

/// The process that started this one.
pub fn parent(pid: i32) -> Option<i32> {
    if let Ok(text) = std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        // The name of the program may hold anything; it ends at the last parenthesis.
        return text.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok();
    }
    ask("ps", &["-o", "ppid=", "-p", &pid.to_string()])?.trim().parse().ok()
}

/// The name of a program, for messages.
pub fn name(pid: i32) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok();
    text.or_else(|| ask("ps", &["-o", "comm=", "-p", &pid.to_string()])).map(|text| text.trim().to_owned())
}

/// What another program prints.
pub(super) fn ask(program: &str, arguments: &[&str]) -> Option<String> {
    system::listen_to(Path::new(program), arguments, &[], Duration::from_secs(5)).ok()
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

    /// The two ways agree on a process that waits with these words; where there is no /proc the second is the only one.
    #[test]
    fn a_process_is_known_by_a_path_among_its_arguments_with_and_without_proc() {
        let long = format!("/a home/{}/.claude/gateway/config/litellm.yaml", "long".repeat(40));
        let mut waiting = std::process::Command::new("sh")
            .args(["-c", "read line; :", "litellm", "--config", &long, "--run_gunicorn"])
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let pid = i32::try_from(waiting.id()).unwrap();
        // Until the shell begins, the process has the arguments of this one.
        let started = std::time::Instant::now();
        while !has_arguments(pid, &[Path::new(&long)]) && started.elapsed().as_secs() < 10 {
            std::thread::sleep(Duration::from_millis(5));
        }
        let shown = |pid, word: &Path| has_arguments(pid, &[word]);
        for knows in [&shown as &dyn Fn(i32, &Path) -> bool, &ps_shows] {
            assert!(knows(pid, Path::new(&long)));
            assert!(knows(pid, Path::new("--run_gunicorn")), "the last word");
            assert!(!knows(pid, Path::new("/a home")), "a part of a path");
            assert!(!knows(pid, Path::new(&long[..long.len() - 1])), "a prefix");
        }
        drop(waiting.stdin.take());
        let _ = waiting.wait();
        assert!(!has_arguments(pid, &[Path::new(&long)]) && !ps_shows(pid, Path::new(&long)));
    }
}
