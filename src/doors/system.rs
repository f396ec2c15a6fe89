//! Environment, clock, identity, randomness and other programs.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::errno;
use crate::domain::{Error, Instant, Result};

/// An environment variable that is set, not empty and UTF-8.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The names of all environment variables that are UTF-8.
pub fn names_of_variables() -> Vec<String> {
    std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).collect()
}

/// An environment variable that is set and not empty, as a path in any encoding.
pub fn path_variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

pub fn arguments() -> Vec<OsString> {
    std::env::args_os().collect()
}

pub fn current_dir() -> Result<PathBuf> {
    std::env::current_dir()
        .map_err(|error| Error::failed("cannot find the current directory").because(errno::reason(&error)))
}

/// The path of the running executable.
pub fn executable() -> Option<PathBuf> {
    std::env::current_exe().ok()
}

pub fn now() -> Instant {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    Instant::from_unix(i64::try_from(seconds).unwrap_or(i64::MAX))
}

/// Milliseconds since 1970.
pub fn now_in_milliseconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Measures how long something takes; never decides anything.
pub struct Stopwatch(std::time::Instant);

impl Stopwatch {
    pub fn start() -> Self {
        Self(std::time::Instant::now())
    }

    pub fn milliseconds(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

pub fn sleep(duration: Duration) {
    std::thread::sleep(duration);
}

/// Does two things at the same time; the first gives nothing if it panicked.
pub fn both<A: Send, B>(first: impl FnOnce() -> A + Send, second: impl FnOnce() -> B) -> (Option<A>, B) {
    std::thread::scope(|scope| {
        let first = scope.spawn(first);
        let second = second();
        (first.join().ok(), second)
    })
}

pub fn pid() -> u32 {
    std::process::id()
}

pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

pub fn user_id() -> u32 {
    rustix::process::geteuid().as_raw()
}

pub fn group_id() -> u32 {
    rustix::process::getegid().as_raw()
}

/// Whether process 1 runs as this user, as in a container that was started for one user. Not known without /proc.
pub fn owns_first_process() -> bool {
    let Ok(status) = std::fs::read_to_string("/proc/1/status") else { return false };
    let Some(users) = status.lines().find_map(|line| line.strip_prefix("Uid:")) else { return false };
    let mut users = users.split_whitespace().map(str::parse::<u32>).peekable();
    users.peek().is_some() && users.all(|user| user == Ok(user_id()))
}

pub fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The name of the user, from the password database, else the number.
pub fn user_name() -> String {
    name_of_user(user_id())
}

/// The name of this user, from the password database, else the number.
pub fn name_of_user(id: u32) -> String {
    account(id).map_or_else(|| id.to_string(), |account| account.name)
}

/// The home directory in the password database.
pub fn home_of_account() -> Option<PathBuf> {
    account(user_id()).map(|account| account.home).filter(|home| home.is_absolute())
}

/// Whether a user other than this one is in a group. A group that this machine does not list has other members, unless
/// it has the number of this user, as the private group of a user does.
pub fn has_other_members(group: u32) -> bool {
    let me = user_id();
    let fields = |path: &str, wanted: usize| -> Vec<Vec<String>> {
        let text = std::fs::read(path).unwrap_or_default();
        let lines = String::from_utf8_lossy(&text);
        let split = |line: &str| line.split(':').map(str::to_owned).collect::<Vec<_>>();
        lines.lines().map(split).filter(|fields| fields.len() >= wanted).collect()
    };
    let number = |text: &str| text.parse::<u32>().ok();
    let users = fields("/etc/passwd", 4);
    if users.iter().any(|user| number(&user[3]) == Some(group) && number(&user[2]) != Some(me)) {
        return true;
    }
    let my_name = account(me).map(|account| account.name).unwrap_or_default();
    let groups = fields("/etc/group", 4);
    match groups.iter().find(|known| number(&known[2]) == Some(group)) {
        Some(known) => known[3].split(',').any(|member| !member.is_empty() && member != my_name),
        None => group != me,
    }
}

/// The name of a group, else its number.
pub fn name_of_group(id: u32) -> String {
    let text = std::fs::read("/etc/group").unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let mut groups = text.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let known = groups.find(|group| group.get(2).and_then(|number| number.parse().ok()) == Some(id));
    known.map_or_else(|| id.to_string(), |group| group[0].to_owned())
}

struct Account {
    name: String,
    home: PathBuf,
}

/// Reads /etc/passwd itself: a static binary has no name service switch to ask.
fn account(id: u32) -> Option<Account> {
    let text = std::fs::read("/etc/passwd").ok()?;
    text.split(|byte| *byte == b'\n').find_map(|line| {
        let fields: Vec<&[u8]> = line.split(|byte| *byte == b':').collect();
        let [name, _, uid, _, _, home, ..] = fields.as_slice() else { return None };
        (std::str::from_utf8(uid).ok()?.parse::<u32>().ok()? == id).then(|| Account {
            name: String::from_utf8_lossy(name).into_owned(),
            home: PathBuf::from(OsString::from_vec(home.to_vec())),
        })
    })
}

/// Fills `bytes` with random ones from the operating system.
pub fn random(bytes: &mut [u8]) -> Result<()> {
    File::open("/dev/urandom").and_then(|mut source| source.read_exact(bytes)).map_err(|error| {
        Error::failed("cannot read random bytes from /dev/urandom").because(errno::reason(&error))
    })
}

/// `count` random bytes from the operating system, as hex.
pub fn random_hex(count: usize) -> Result<String> {
    let mut bytes = vec![0; count];
    random(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Before anything else: new files are private whatever the user's umask, and a crash leaves no memory on disk.
pub fn harden() {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let none = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
    // A process may always lower its own limits; should it fail, a core file is not a reason to refuse to run.
    let _ = rustix::process::setrlimit(rustix::process::Resource::Core, none);
}

/// Finds a program on the PATH.
pub fn program(name: &str) -> Option<PathBuf> {
    which::which(name).ok()
}

/// Cores that this process may use.
pub fn cores() -> Option<usize> {
    std::thread::available_parallelism().ok().map(std::num::NonZero::get)
}

/// Bytes of memory that the machine has, where it says so in `/proc/meminfo`.
pub fn memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// Whether a process with this pid runs, and this user may signal it.
pub fn is_running(pid: i32) -> bool {
    rustix::process::Pid::from_raw(pid).is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok())
}

/// Runs a program to its end with the input and output of gwinstall; its exit code.
pub fn run(program: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Result<u8> {
    let mut command = command_of(program);
    let status = command.args(arguments).envs(environment.iter().copied()).status();
    status.map(exit_code).map_err(|error| cannot_run(program, &error))
}

/// Runs a program to its end; its exit code and its output. What it writes to stdout
/// and stderr is passed on line by line as it comes. The output goes through a file, because a pipe stays open as long as
/// any process that the program leaves running.
pub fn run_and_hear(
    program: &Path,
    arguments: &[&str],
    environment: &[(&str, &str)],
    each_line: &mut dyn FnMut(&str),
) -> Result<(u8, String)> {
    let failed = |error: io::Error| cannot_run(program, &error);
    let output = nameless_file().map_err(failed)?;
    let mut command = command_of(program);
    command.args(arguments).envs(environment.iter().copied());
    command.stdout(output.try_clone().map_err(failed)?).stderr(output.try_clone().map_err(failed)?);
    let mut child = command.spawn().map_err(failed)?;
    let mut said = Said { output, text: Vec::new(), passed: 0 };
    while !ends_within(&child, Duration::from_millis(50)) {
        said.pass_on(false, each_line).map_err(failed)?;
    }
    let status = child.wait().map_err(failed)?;
    said.pass_on(true, each_line).map_err(failed)?;
    Ok((exit_code(status), String::from_utf8_lossy(&said.text).into_owned()))
}

/// A script on a file system without programs is given to the shell.
fn command_of(program: &Path) -> Command {
    if program.extension().is_none_or(|extension| extension != "sh") || !is_noexec(program) {
        return Command::new(program);
    }
    let mut shell = Command::new("/bin/sh");
    shell.arg(program);
    shell
}

/// Whether the file system of `path` is mounted so that no program on it runs.
#[cfg(target_os = "linux")]
pub fn is_noexec(path: &Path) -> bool {
    // Linux has ST_NOEXEC in the flags; rustix has no name for it.
    const NOEXEC: u64 = 8;
    let there = path.ancestors().find(|path| path.exists()).unwrap_or(path);
    rustix::fs::statvfs(there).is_ok_and(|fs| fs.f_flag.bits() & NOEXEC != 0)
}

#[cfg(not(target_os = "linux"))]
pub fn is_noexec(_: &Path) -> bool {
    false
}

/// Runs a program to its end, in silence; its exit code and its output.
pub fn hear(program: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Result<(u8, String)> {
    run_and_hear(program, arguments, environment, &mut |_| {})
}

/// What a program has written so far.
struct Said {
    output: File,
    text: Vec<u8>,
    /// How much of the text was passed on.
    passed: usize,
}

impl Said {
    /// Passes on the lines that are complete; at the end, the rest too. Reads beside the position of the file, which the
    /// program that writes to it shares.
    fn pass_on(&mut self, ended: bool, each_line: &mut dyn FnMut(&str)) -> io::Result<()> {
        use std::os::unix::fs::FileExt as _;
        let mut part = [0; 4096];
        while self.text.len() < 64 << 10 {
            match self.output.read_at(&mut part, self.text.len() as u64)? {
                0 => break,
                read => self.text.extend_from_slice(&part[..read]),
            }
        }
        let rest = &self.text[self.passed..];
        let complete = if ended {
            rest.len()
        } else {
            rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1)
        };
        String::from_utf8_lossy(&rest[..complete]).lines().for_each(each_line);
        self.passed += complete;
        Ok(())
    }
}

/// A program that a signal ended has no exit code; 1 stands for it.
fn exit_code(status: ExitStatus) -> u8 {
    status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

pub(super) fn cannot_run(program: &Path, error: &io::Error) -> Error {
    Error::failed(format!("cannot run {}", program.display())).because(errno::reason(error))
}

/// A file in memory.
#[cfg(target_os = "linux")]
pub(super) fn nameless_file() -> io::Result<File> {
    Ok(rustix::fs::memfd_create("said", rustix::fs::MemfdFlags::CLOEXEC)?.into())
}

/// A file that no other process can open: private from the start, and without a name before anything is in it.
#[cfg(any(not(target_os = "linux"), test))]
pub(super) fn unlinked_file() -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let name = random_hex(16).map_err(|error| io::Error::other(error.to_string()))?;
    let path = std::env::temp_dir().join(format!("gwinstall-{name}"));
    let file = std::fs::OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

#[cfg(not(target_os = "linux"))]
pub(super) use unlinked_file as nameless_file;

/// Root staging for an image becomes the owner of that home for the rest of the run: whatever it makes has the right
/// owner from the start, and it can reach nothing that this user cannot.
pub fn become_user(user: u32, group: u32) -> Result<()> {
    // SAFETY: plain system calls without pointers into this process (an empty list of groups), before any thread starts.
    let became = unsafe {
        libc::setgroups(0, std::ptr::null()) == 0 && libc::setgid(group) == 0 && libc::setuid(user) == 0
    };
    if became {
        Ok(())
    } else {
        Err(Error::failed(format!("cannot act as user {user}"))
            .because(errno::reason(&io::Error::last_os_error())))
    }
}

/// Runs a program without input, in `/`, and returns the first 64 KiB of its stdout if it exits with 0 in time, else
/// why not. Processes that it leaves running are ended, and not waited for.
pub fn listen_to(
    program: &Path,
    arguments: &[&str],
    environment: &[(&str, &str)],
    timeout: Duration,
) -> std::result::Result<String, String> {
    use std::os::unix::process::CommandExt as _;
    use std::process::Stdio;
    let shown = program.display();
    let mut child = Command::new(program)
        .args(arguments)
        .envs(environment.iter().copied())
        // A file of the current directory must not become part of the program, as a module of Python would.
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("{shown} does not run: {}", errno::reason(&error)))?;
    let stdout = child.stdout.take();
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut text = Vec::new();
        let read = stdout.map_or(Ok(0), |stdout| stdout.take(1 << 16).read_to_end(&mut text));
        // It fails when the caller has stopped waiting, and then nothing needs the text.
        let _ = sender.send(read.map(|_| text));
    });
    let ended = ends_within(&child, timeout);
    // Not reaped yet, so no other group can have this number.
    end_group(&child);
    let status = child.wait().ok();
    if !ended {
        return Err(format!("{shown} did not answer within {} s", timeout.as_secs()));
    }
    match status.and_then(|status| status.code()) {
        Some(0) => {}
        code => return Err(format!("{shown} ended with {}", code.unwrap_or(-1))),
    }
    // A process that left the group may hold the pipe open for as long as it lives.
    let Ok(text) = receiver.recv_timeout(Duration::from_secs(1)) else {
        return Err(format!("{shown} left its stdout open"));
    };
    let text = text.map_err(|error| format!("cannot read from {shown}: {}", errno::reason(&error)))?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn process_id(child: &Child) -> Option<rustix::process::Pid> {
    rustix::process::Pid::from_raw(i32::try_from(child.id()).ok()?)
}

/// Waits for the end of a child without taking its status.
pub(super) fn ends_within(child: &Child, timeout: Duration) -> bool {
    use rustix::process::{WaitId, WaitIdOptions, waitid};
    let Some(pid) = process_id(child) else { return false };
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    let started = std::time::Instant::now();
    loop {
        match waitid(WaitId::Pid(pid), look) {
            Ok(Some(_)) => return true,
            Ok(None) | Err(rustix::io::Errno::INTR) if started.elapsed() < timeout => {
                sleep(Duration::from_millis(5));
            }
            _ => return false,
        }
    }
}

pub(super) fn end_group(leader: &Child) {
    if let Some(pid) = process_id(leader) {
        // It fails when the group has ended already.
        let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doors::processes::has_arguments;

    #[test]
    fn what_a_program_leaves_running_is_ended_and_not_waited_for() {
        let sh = Path::new("/bin/sh");
        let listen = |script: &str, seconds: u64| {
            let started = std::time::Instant::now();
            let said = listen_to(sh, &["-c", script], &[("SAID", "hello")], Duration::from_secs(seconds));
            assert!(started.elapsed() < Duration::from_secs(8), "{script}");
            said
        };
        assert_eq!(listen("echo $SAID", 5).unwrap(), "hello\n");
        assert_eq!(listen("pwd", 5).unwrap(), "/\n");
        assert!(listen("exit 3", 5).unwrap_err().contains("ended with 3"));
        assert!(listen("sleep 60; :", 1).unwrap_err().contains("did not answer within 1 s"));
        // It answers, and leaves a child that holds the pipe.
        let pid = listen("sleep 60 & echo $!", 5).unwrap();
        let pid: i32 = pid.trim().parse().unwrap();
        let started = std::time::Instant::now();
        while has_arguments(pid, &[Path::new("60")]) && started.elapsed().as_secs() < 5 {
            sleep(Duration::from_millis(5));
        }
        assert!(!has_arguments(pid, &[Path::new("60")]));
    }

    #[test]
    fn a_file_for_what_a_program_says_has_no_name_and_can_be_read_again() {
        use std::io::{Read as _, Seek as _, Write as _};
        let mut file = unlinked_file().unwrap();
        file.write_all(b"said").unwrap();
        file.rewind().unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "said");
        assert_eq!(std::os::unix::fs::MetadataExt::nlink(&file.metadata().unwrap()), 0);
    }
}
