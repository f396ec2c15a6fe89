//! A static file server for a layout, on this machine only, that can misbehave on request.
//!
//! It is for tests and for trying a release before it is published; a mirror is any web server. Promise: only files below
//! the directory, GET and HEAD, an ETag and 304; each request is one line on standard error, so that a test can tell
//! what was asked for. Faults: see `Kind`.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clap::{Args, ValueEnum};
use gwinstall::domain::{Error, Result, Sha256};

use crate::{files, say};

#[derive(Debug, Args)]
pub struct Serve {
    /// Directory to serve
    dir: PathBuf,
    /// Port on 127.0.0.1; 0 lets the system choose. The address is the first line on standard output
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Misbehave: KIND=PART for requests whose path contains PART, KIND:N=PART for the first N of them
    #[arg(long = "fault", value_parser = parse_fault)]
    faults: Vec<Fault>,
}

/// The ways in which a server or the network between can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Half of the body, then the end.
    Truncate,
    /// The body, then zeros for as long as the client reads.
    Endless,
    /// One byte in a tenth of a second.
    Slow,
    /// No bytes at all after the headers, for a minute.
    Stall,
    /// A Content-Length that is one too large.
    Long,
    /// One byte more than the file has.
    Extra,
    /// A flipped bit in the middle.
    Flip,
    /// The body as it is, said to be gzip.
    Gzip,
    /// The sign-in page of a network.
    Html,
    /// 403 with the headers of a used-up rate limit.
    Forbidden,
    /// 404.
    Missing,
    /// 429 with Retry-After.
    Busy,
    /// 503.
    Broken,
    /// A redirect to itself.
    Loop,
    /// A redirect to a host that was not announced.
    Elsewhere,
    /// A redirect to a file URL.
    File,
    /// The connection is cut before an answer.
    Reset,
}

#[derive(Debug, Clone)]
struct Fault {
    kind: Kind,
    left: Option<u32>,
    part: String,
}

struct Site {
    dir: PathBuf,
    faults: Mutex<Vec<Fault>>,
}

/// Serves until it is killed.
pub fn run(args: &Serve) -> Result<()> {
    let dir = args.dir.canonicalize().map_err(|e| files::cannot("serve", &args.dir, e))?;
    let cannot = |e| Error::failed(format!("cannot listen on port {}", args.port)).because(e);
    let listener = TcpListener::bind(("127.0.0.1", args.port)).map_err(cannot)?;
    print(&format!("http://{}", listener.local_addr().map_err(cannot)?))?;
    let site = Arc::new(Site { dir, faults: Mutex::new(args.faults.clone()) });
    for stream in listener.incoming().flatten() {
        let site = Arc::clone(&site);
        std::thread::spawn(move || {
            // A client that goes away in the middle is its own business.
            let _ = answer(&site, &stream);
            let _ = stream.shutdown(Shutdown::Both);
        });
    }
    Ok(())
}

/// One line on standard output.
pub fn print(line: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(|e| Error::failed("cannot print").because(e))
}

fn answer(site: &Site, mut stream: &TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut request = BufReader::new(stream.take(16 << 10));
    let mut first = String::new();
    request.read_line(&mut first)?;
    let mut words = first.split_whitespace();
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut known = String::new();
    let mut line = String::new();
    while request.read_line(&mut line)? > 2 {
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("if-none-match")
        {
            known = value.trim().to_owned();
        }
        line.clear();
    }
    let fault = site.fault_for(path);
    say(format!("{method} {path}{}", fault.map(|kind| format!(" {kind:?}")).unwrap_or_default()));
    if let Some(kind) = fault {
        return misbehave(kind, path, site.file(path), stream);
    }
    let Some(body) = site.file(path) else { return reply(stream, "404 Not Found", "", b"no such file\n") };
    let tag = format!("\"{}\"", Sha256::of(&body));
    let headers = format!("ETag: {tag}\r\n");
    match method {
        "GET" | "HEAD" if known == tag => {
            write!(stream, "HTTP/1.1 304 Not Modified\r\n{headers}Connection: close\r\n\r\n")
        }
        "GET" => reply(stream, "200 OK", &headers, &body),
        "HEAD" => {
            let length = body.len();
            write!(
                stream,
                "HTTP/1.1 200 OK\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n"
            )
        }
        _ => reply(stream, "405 Method Not Allowed", "Allow: GET, HEAD\r\n", b""),
    }
}

fn reply(mut stream: &TcpStream, status: &str, headers: &str, body: &[u8]) -> io::Result<()> {
    head(stream, status, headers, body.len())?;
    stream.write_all(body)
}

fn head(mut stream: &TcpStream, status: &str, headers: &str, length: usize) -> io::Result<()> {
    write!(
        stream,
        "HTTP/1.1 {status}\r\n{headers}Content-Type: application/octet-stream\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n"
    )
}

fn misbehave(kind: Kind, path: &str, body: Option<Vec<u8>>, mut stream: &TcpStream) -> io::Result<()> {
    let body = body.unwrap_or_default();
    let middle = body.len() / 2;
    match kind {
        Kind::Truncate => {
            head(stream, "200 OK", "", body.len())?;
            stream.write_all(&body[..middle])
        }
        Kind::Endless => {
            write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
            stream.write_all(&body)?;
            loop {
                stream.write_all(&[0; 64 << 10])?;
            }
        }
        Kind::Slow => {
            head(stream, "200 OK", "", body.len())?;
            body.chunks(1).try_for_each(|byte| {
                std::thread::sleep(Duration::from_millis(100));
                stream.write_all(byte)
            })
        }
        Kind::Stall => {
            head(stream, "200 OK", "", body.len())?;
            std::thread::sleep(Duration::from_secs(60));
            Ok(())
        }
        Kind::Long => {
            head(stream, "200 OK", "", body.len() + 1)?;
            stream.write_all(&body)
        }
        Kind::Extra => reply(stream, "200 OK", "", &[body.as_slice(), b"\n"].concat()),
        Kind::Flip => {
            let mut flipped = body;
            flipped.iter_mut().skip(middle).take(1).for_each(|byte| *byte ^= 1);
            reply(stream, "200 OK", "", &flipped)
        }
        Kind::Gzip => reply(stream, "200 OK", "Content-Encoding: gzip\r\n", &body),
        Kind::Reset => Ok(()),
        _ => reply_otherwise(kind, path, stream),
    }
}

/// The faults that send no file.
fn reply_otherwise(kind: Kind, path: &str, stream: &TcpStream) -> io::Result<()> {
    match kind {
        Kind::Html => {
            reply(stream, "200 OK", "", b"<!DOCTYPE html>\n<html><body>Please sign in</body></html>\n")
        }
        Kind::Forbidden => {
            let headers = "X-RateLimit-Remaining: 0\r\nX-RateLimit-Reset: 4102444800\r\n";
            reply(stream, "403 Forbidden", headers, b"rate limit exceeded\n")
        }
        Kind::Busy => reply(stream, "429 Too Many Requests", "Retry-After: 1\r\n", b"later\n"),
        Kind::Broken => reply(stream, "503 Service Unavailable", "", b"broken\n"),
        Kind::Loop => reply(stream, "302 Found", &format!("Location: {path}\r\n"), b""),
        Kind::Elsewhere => reply(stream, "302 Found", "Location: http://elsewhere.invalid/\r\n", b""),
        Kind::File => reply(stream, "302 Found", "Location: file:///etc/passwd\r\n", b""),
        _ => reply(stream, "404 Not Found", "", b"no such file\n"),
    }
}

impl Site {
    /// The fault for this request, counted down where it has a number.
    fn fault_for(&self, path: &str) -> Option<Kind> {
        let mut faults = self.faults.lock().ok()?;
        let fault = faults.iter_mut().find(|fault| path.contains(&fault.part) && fault.left != Some(0))?;
        fault.left = fault.left.map(|left| left - 1);
        Some(fault.kind)
    }

    /// A file below the directory; links that lead out of it are not followed.
    fn file(&self, path: &str) -> Option<Vec<u8>> {
        let relative = Path::new(path.split('?').next()?.strip_prefix('/')?);
        if relative.components().any(|part| !matches!(part, Component::Normal(_))) {
            return None;
        }
        let file = self.dir.join(relative).canonicalize().ok()?;
        file.starts_with(&self.dir).then(|| std::fs::read(file).ok())?
    }
}

fn parse_fault(text: &str) -> std::result::Result<Fault, String> {
    let (kind, part) = text.split_once('=').ok_or("write KIND=PART or KIND:N=PART")?;
    let (kind, left) = match kind.split_once(':') {
        Some((kind, count)) => {
            (kind, Some(count.parse().map_err(|error| format!("'{count}' is not a number: {error}"))?))
        }
        None => (kind, None),
    };
    Ok(Fault { kind: Kind::from_str(kind, true)?, left, part: part.to_owned() })
}
