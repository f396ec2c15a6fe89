//! The stock tools that a release is proved with: minisign, sha256sum, tar, and whatever is asked of git and cargo.
//!
//! Promise: a command that fails is an error that shows the command line and what it said.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use gwinstall::domain::{Error, Result};

/// Runs a command to its end and returns its standard output.
pub fn run(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().map_err(|e| cannot(command).because(e))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(cannot(command).because(output.status).because(said.trim()));
    }
    String::from_utf8(output.stdout)
        .map_err(|error| cannot(command).because("its output is not UTF-8").because(error.utf8_error()))
}

/// Runs a command that talks to the person: its output goes to our standard error.
pub fn show(command: &mut Command) -> Result<()> {
    let status = command
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .status()
        .map_err(|e| cannot(command).because(e))?;
    if status.success() { Ok(()) } else { Err(cannot(command).because(status)) }
}

/// Runs a command with `input` on its standard input.
pub fn feed(command: &mut Command, input: &[u8]) -> Result<()> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| cannot(command).because(e))?;
    if let Some(mut pipe) = child.stdin.take() {
        pipe.write_all(input).map_err(|e| cannot(command).because(e))?;
    }
    let output = child.wait_with_output().map_err(|e| cannot(command).because(e))?;
    if output.status.success() {
        return Ok(());
    }
    Err(cannot(command).because(output.status).because(String::from_utf8_lossy(&output.stderr).trim()))
}

/// The stock minisign accepts this signature, in its strict mode, and reads this statement in it.
pub fn minisign_accepts(file: &Path, signature: &Path, key: &str, statement: &str) -> Result<()> {
    let mut command = Command::new("minisign");
    command.args(["-V", "-H", "-Q", "-m"]).arg(file).arg("-x").arg(signature).args(["-P", key]);
    let said = run(&mut command)?;
    if said.trim_end_matches('\n') == statement {
        return Ok(());
    }
    Err(Error::failed(format!("{} states something else", signature.display()))
        .because(format!("it says: {}", said.trim_end()))
        .because(format!("the document says: {statement}")))
}

fn cannot(command: &Command) -> Error {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let line = words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
    Error::failed(format!("this command failed: {line}"))
}
