//! The program on a terminal of its own, as a person sees it: every byte that it writes goes through a terminal emulator,
//! and a test looks at the screen.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::num::NonZeroU16;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};

use crate::home::TestHome;

/// Longer than any step takes, even on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(30);
/// A screen on which nothing has happened for so long is finished.
const STILL: Duration = Duration::from_millis(120);

pub const UP: &str = "\x1b[A";
pub const DOWN: &str = "\x1b[B";
pub const ESC: &str = "\x1b";
pub const ENTER: &str = "\r";
pub const CTRL_C: &str = "\x03";
pub const CTRL_D: &str = "\x04";

pub struct Terminal {
    child: Child,
    keyboard: File,
    /// The program's side: kept open, so that its modes can be looked at when the program is gone.
    line: Option<OwnedFd>,
    before: Termios,
    shown: Arc<Shown>,
    reader: Option<JoinHandle<()>>,
}

struct Shown {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    parser: vt100::Parser,
    bytes: Vec<u8>,
    last: Instant,
}

/// What is left when the program has ended.
pub struct Ended {
    pub code: i32,
    pub screen: String,
    /// Every byte that was written.
    pub bytes: Vec<u8>,
}

impl Terminal {
    /// Starts the program with arguments that hold no spaces, in a window of this size.
    pub fn open(home: &TestHome, arguments: &str, (rows, columns): (u16, u16)) -> Self {
        Self::start(home.command(arguments), (rows, columns))
    }

    pub fn start(mut command: Command, (rows, columns): (u16, u16)) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let line: OwnedFd =
            File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap().into();
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&line, size).unwrap();
        let before = tcgetattr(&line).unwrap();
        let end = || line.try_clone().unwrap();
        command.stdin(end()).stdout(end()).stderr(end());
        // SAFETY: between fork and exec only these two system calls are made.
        unsafe {
            command.pre_exec(|| {
                rustix::process::setsid()?;
                rustix::process::ioctl_tiocsctty(std::io::stdin())?;
                Ok(())
            });
        }
        let child = command.spawn().unwrap();
        // The command holds ends of the line: without them gone, nobody learns that the program is.
        drop(command);
        let parser = vt100::Parser::new(some(rows), some(columns), 0);
        let state = Mutex::new(State { parser, bytes: Vec::new(), last: Instant::now() });
        let shown = Arc::new(Shown { state, changed: Condvar::new() });
        let keyboard = File::from(master);
        let reader = Some(follow(keyboard.try_clone().unwrap(), Arc::clone(&shown)));
        Self { child, keyboard, line: Some(line), before, shown, reader }
    }

    /// Waits until this is on the screen and the screen is still. What is there then.
    #[track_caller]
    pub fn shows(&self, text: &str) -> String {
        self.wait_for(&format!("{text:?}"), |screen| screen.contains(text))
    }

    #[track_caller]
    pub fn wait_for(&self, what: &str, there: impl Fn(&str) -> bool) -> String {
        let start = Instant::now();
        let mut state = self.shown.state.lock().unwrap();
        loop {
            let screen = state.screen();
            if there(&screen) && state.last.elapsed() >= STILL {
                return screen;
            }
            assert!(start.elapsed() < PATIENCE, "{what} did not come:\n{screen}");
            state = self.shown.changed.wait_timeout(state, STILL).unwrap().0;
        }
    }

    /// Types this.
    pub fn types(&self, keys: &str) {
        (&self.keyboard).write_all(keys.as_bytes()).unwrap();
    }

    /// Types this and waits for what it leads to.
    #[track_caller]
    pub fn answer(&self, keys: &str, then: &str) -> String {
        self.types(keys);
        std::thread::sleep(STILL);
        self.shows(then)
    }

    /// Row and column of the cursor, and whether it is to be seen.
    pub fn cursor(&self) -> ((u16, u16), bool) {
        let state = self.shown.state.lock().unwrap();
        let screen = state.parser.screen();
        (screen.cursor_position(), !screen.hide_cursor())
    }

    pub fn resize(&self, rows: u16, columns: u16) {
        self.shown.state.lock().unwrap().parser.screen_mut().set_size(some(rows), some(columns));
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(self.line.as_ref().unwrap(), size).unwrap();
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits for the end, and holds that the terminal is as it was: its modes, the cursor, and pasting.
    #[track_caller]
    pub fn ends(mut self) -> Ended {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if start.elapsed() > PATIENCE {
                let _ = self.child.kill();
                panic!("it does not end:\n{}", self.shown.state.lock().unwrap().screen());
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        let line = self.line.take().unwrap();
        let now = tcgetattr(line.as_fd()).unwrap();
        // With the last end closed the reader has everything, and ends.
        drop(line);
        self.reader.take().unwrap().join().unwrap();
        assert_eq!(
            (now.local_modes, now.input_modes, now.output_modes),
            (self.before.local_modes, self.before.input_modes, self.before.output_modes),
            "the modes of the terminal"
        );
        let state = self.shown.state.lock().unwrap();
        assert!(!state.parser.screen().hide_cursor(), "the cursor is hidden");
        assert!(!state.parser.screen().bracketed_paste(), "pastes are still bracketed");
        let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
        Ended { code, screen: state.screen(), bytes: state.bytes.clone() }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl State {
    /// What is to be seen, without the empty rest.
    fn screen(&self) -> String {
        let screen = self.parser.screen();
        let width = screen.size().1.get();
        let rows: Vec<String> = screen.rows(0, width).map(|row| row.trim_end().to_owned()).collect();
        rows.join("\n").trim_end().to_owned()
    }
}

fn some(number: u16) -> NonZeroU16 {
    NonZeroU16::new(number).unwrap()
}

fn follow(mut output: File, shown: Arc<Shown>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(length @ 1..) = output.read(&mut bytes) {
            let mut state = shown.state.lock().unwrap();
            state.parser.process(&bytes[..length]);
            state.bytes.extend_from_slice(&bytes[..length]);
            state.last = Instant::now();
            shown.changed.notify_all();
        }
    })
}
