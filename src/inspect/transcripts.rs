//! The transcripts of Claude Code below `projects/`: every request in them once, with its tokens.
//!
//! Promise: reads only, follows no link out of the directory, opens nothing but regular files, and keeps some hundred bytes
//! for each request and nothing of a conversation, however long the files and their lines are. What cannot be read is named
//! or counted and stops nothing.

use std::collections::HashMap;
use std::hash::BuildHasher as _;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};

use indexmap::IndexSet;

use crate::domain::tokens::Tokens;
use crate::domain::{Error, Instant, Place, Result};
use crate::doors::{disk, signals};
use crate::format::transcript::{self, Answer, Line};

/// Claude Code writes no answer of this length; a prompt with images can have it.
const LINE_CAP: u64 = 8 << 20;
const BUFFER: usize = 128 << 10;
const DAY: i64 = 86_400;

/// What the transcripts say.
#[derive(Debug, Default)]
pub struct Transcripts {
    /// From when on; `None` is from the beginning.
    pub since: Option<Instant>,
    requests: HashMap<u64, Counted>,
    models: IndexSet<String>,
    projects: Vec<Project>,
    pub files: usize,
    pub left_out: LeftOut,
    /// Whether there is something older than what was asked for.
    pub has_older: bool,
    /// Files and directories that could not be read, each with the reason.
    pub unreadable: Vec<(PathBuf, Error)>,
}

/// What was met and not counted.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct LeftOut {
    pub damaged: usize,
    pub too_long: usize,
    /// Answers that Claude Code wrote itself.
    pub synthetic: usize,
    pub links: usize,
    /// FIFOs, sockets and devices.
    pub special: usize,
}

/// A directory of `projects/`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Project {
    pub name: String,
    /// The directory that the name stands for, where a transcript says it.
    pub directory: Option<PathBuf>,
}

/// A request as it is kept: a transcript of a year has hundreds of thousands.
#[derive(Debug, Clone, Copy)]
struct Counted {
    at: Instant,
    model: u32,
    project: u32,
    input: u32,
    cache_read: u32,
    cache_write: u32,
    cache_write_hour: u32,
    output: u32,
}

/// A request as it is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Request<'t> {
    pub at: Instant,
    pub model: &'t str,
    pub project: &'t Project,
    pub tokens: Tokens,
}

/// Where Claude Code keeps its transcripts.
pub fn directory(place: &Place) -> PathBuf {
    place.config_dir.join("projects")
}

/// The requests from `since` on; of a request that Claude Code wrote down several times, the last line counts.
pub fn read(place: &Place, since: Option<Instant>) -> Result<Transcripts> {
    let root = directory(place);
    let mut found = Transcripts { since, ..Transcripts::default() };
    for name in disk::list(&root)? {
        let project = root.join(&name);
        match disk::kind(&project) {
            Some(disk::EntryKind::Directory) => found.project(&project, name)?,
            other => found.leave_out(other),
        }
    }
    Ok(found)
}

impl Transcripts {
    /// Every request once, in no order.
    pub fn requests(&self) -> impl Iterator<Item = Request<'_>> {
        self.requests.values().map(|kept| Request {
            at: kept.at,
            model: &self.models[kept.model as usize],
            project: &self.projects[kept.project as usize],
            tokens: kept.tokens(),
        })
    }

    fn leave_out(&mut self, kind: Option<disk::EntryKind>) {
        match kind {
            Some(disk::EntryKind::Link) => self.left_out.links += 1,
            Some(disk::EntryKind::Special) => self.left_out.special += 1,
            // No transcript, or gone since the directory was listed.
            Some(disk::EntryKind::File | disk::EntryKind::Directory) | None => {}
        }
    }

    /// The sessions of a project, and those of their agents, which lie deeper.
    fn project(&mut self, root: &Path, name: String) -> Result<()> {
        let project = u32::try_from(self.projects.len()).unwrap_or(u32::MAX);
        self.projects.push(Project { name, directory: None });
        let mut todo = vec![root.to_owned()];
        while let Some(dir) = todo.pop() {
            let names = match disk::list(&dir) {
                Ok(names) => names,
                Err(error) => {
                    self.unreadable.push((dir, error));
                    continue;
                }
            };
            for name in names {
                let path = dir.join(&name);
                match disk::kind(&path) {
                    Some(disk::EntryKind::Directory) => todo.push(path),
                    Some(disk::EntryKind::File) if name.ends_with(".jsonl") => self.file(&path, project)?,
                    other => self.leave_out(other),
                }
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &Path, project: u32) -> Result<()> {
        // No line is younger than the file. A day covers a clock that was wrong.
        let is_older = |since: Instant| disk::facts(path).is_some_and(|(_, at)| at < since.unix() - DAY);
        if self.since.is_some_and(is_older) {
            self.has_older = true;
            return Ok(());
        }
        let (file, length) = match disk::reader(path) {
            Ok(opened) => opened,
            Err(error) => {
                self.unreadable.push((path.to_owned(), error));
                return Ok(());
            }
        };
        self.files += 1;
        // What an open session writes from now on is left for the next run.
        let mut reader = BufReader::with_capacity(BUFFER, file.take(length));
        let mut line = Vec::new();
        loop {
            signals::check()?;
            match next(&mut reader, &mut line) {
                Ok(Piece::Line) => self.line(&line, project),
                Ok(Piece::TooLong) => self.left_out.too_long += 1,
                // An open session may be writing it.
                Ok(Piece::Unfinished) => {
                    if matches!(transcript::line(&line), Line::Answer(_)) {
                        self.line(&line, project);
                    }
                }
                Ok(Piece::End) => return Ok(()),
                Err(error) => {
                    self.unreadable.push((path.to_owned(), disk::failure("read", path, &error)));
                    return Ok(());
                }
            }
        }
    }

    fn line(&mut self, line: &[u8], project: u32) {
        match transcript::line(line) {
            Line::Answer(answer) if self.since.is_some_and(|since| answer.at < since) => {
                self.has_older = true
            }
            Line::Answer(answer) => self.count(&answer, project),
            Line::Synthetic => self.left_out.synthetic += 1,
            Line::Damaged if line.iter().all(u8::is_ascii_whitespace) => {}
            Line::Damaged => self.left_out.damaged += 1,
            Line::Other => {}
        }
    }

    /// The counts of a request grow while its answer is written down, and a copy in another file may be of an earlier
    /// moment: the largest counts are the last ones, in whatever order the files are read.
    fn count(&mut self, answer: &Answer<'_>, project: u32) {
        self.learn_directory(answer, project);
        let key = self.requests.hasher().hash_one(&answer.request);
        let model = self.model(&answer.model);
        let new = Counted::of(answer, model, project);
        let kept = self.requests.entry(key).or_insert(new);
        let at = kept.at.max(new.at);
        if new.counts() > kept.counts() {
            *kept = Counted { project: kept.project, ..new };
        }
        kept.at = at;
    }

    fn model(&mut self, name: &str) -> u32 {
        let known = self.models.get_index_of(name);
        let at = known.unwrap_or_else(|| self.models.insert_full(name.to_owned()).0);
        u32::try_from(at).unwrap_or(u32::MAX)
    }

    /// The name of a project is its directory with `-` for what is neither a letter nor a digit. So a directory is believed
    /// only if it gives the name: a session may have moved to another one.
    fn learn_directory(&mut self, answer: &Answer<'_>, project: u32) {
        let project = &mut self.projects[project as usize];
        let Some(directory) = answer.directory.as_deref().filter(|_| project.directory.is_none()) else {
            return;
        };
        let dashed = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        if directory.chars().map(dashed).eq(project.name.chars()) {
            project.directory = Some(PathBuf::from(directory));
        }
    }
}

impl Counted {
    fn of(answer: &Answer<'_>, model: u32, project: u32) -> Self {
        let tokens = answer.tokens;
        let small = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        Self {
            at: answer.at,
            model,
            project,
            input: small(tokens.input),
            cache_read: small(tokens.cache_read),
            cache_write: small(tokens.cache_write),
            cache_write_hour: small(tokens.cache_write_hour),
            output: small(tokens.output),
        }
    }

    fn tokens(&self) -> Tokens {
        Tokens {
            input: self.input.into(),
            cache_read: self.cache_read.into(),
            cache_write: self.cache_write.into(),
            cache_write_hour: self.cache_write_hour.into(),
            output: self.output.into(),
        }
    }

    fn counts(&self) -> (u32, u64) {
        (self.output, self.tokens().prompt())
    }
}

enum Piece {
    Line,
    TooLong,
    /// The last line, without its end.
    Unfinished,
    End,
}

/// Reads the next line into `line`, without its end. Of one that is too long nothing is kept.
fn next(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<Piece> {
    line.clear();
    reader.by_ref().take(LINE_CAP).read_until(b'\n', line)?;
    if line.last() == Some(&b'\n') {
        line.pop();
        return Ok(Piece::Line);
    }
    if (line.len() as u64) < LINE_CAP {
        return Ok(if line.is_empty() { Piece::End } else { Piece::Unfinished });
    }
    while !line.is_empty() && line.last() != Some(&b'\n') {
        line.clear();
        reader.by_ref().take(BUFFER as u64).read_until(b'\n', line)?;
    }
    Ok(Piece::TooLong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(text: &[u8]) -> Vec<String> {
        let (mut reader, mut line, mut seen) = (BufReader::new(text), Vec::new(), Vec::new());
        loop {
            let piece = next(&mut reader, &mut line).unwrap();
            let text = || String::from_utf8(line.clone()).unwrap();
            seen.push(match piece {
                Piece::Line => text(),
                Piece::TooLong => "(too long)".to_owned(),
                Piece::Unfinished => format!("{}…", text()),
                Piece::End => return seen,
            });
        }
    }

    #[test]
    fn lines_are_read_whole_and_long_ones_are_passed_over() {
        assert_eq!(pieces(b""), [""; 0]);
        assert_eq!(pieces(b"a\n\nb"), ["a", "", "b…"]);
        let long = |more: usize| vec![b'x'; usize::try_from(LINE_CAP).unwrap() + more];
        for more in [0, 1, BUFFER, BUFFER + 1] {
            assert_eq!(pieces(&[&long(more)[..], b"\nb\n"].concat()), ["(too long)", "b"], "{more}");
        }
        assert_eq!(pieces(&long(7)), ["(too long)"]);
        let just = [&vec![b'x'; usize::try_from(LINE_CAP).unwrap() - 1][..], b"\n"].concat();
        assert_eq!(pieces(&just)[0].len(), just.len() - 1);
    }
}
