//! A release server that misbehaves on demand: what it does with each request is a closure of the test.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// One request as received.
#[derive(Debug, Clone)]
pub struct Request {
    /// `GET` or `CONNECT`.
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    /// How many requests came before it.
    pub number: usize,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// Anything that can be written to and read from: plain TCP or TLS.
pub trait Wire: Read + Write {}
impl<T: Read + Write> Wire for T {}

/// What a server does with a request; returning closes the connection.
pub type Reply = Arc<dyn Fn(&Request, &mut dyn Wire) + Send + Sync>;

pub struct Server {
    pub address: SocketAddr,
    pub requests: Arc<Mutex<Vec<Request>>>,
    scheme: &'static str,
}

impl Server {
    pub fn start(reply: impl Fn(&Request, &mut dyn Wire) + Send + Sync + 'static) -> Self {
        Self::listen(Arc::new(reply), None)
    }

    /// The same over TLS.
    pub fn start_tls(
        config: rustls::ServerConfig,
        reply: impl Fn(&Request, &mut dyn Wire) + Send + Sync + 'static,
    ) -> Self {
        Self::listen(Arc::new(reply), Some(Arc::new(config)))
    }

    fn listen(reply: Reply, tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let scheme = if tls.is_some() { "https" } else { "http" };
        let log = Arc::clone(&requests);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (reply, log, tls) = (Arc::clone(&reply), Arc::clone(&log), tls.clone());
                thread::spawn(move || serve(stream, &reply, &log, tls));
            }
        });
        Self { address, requests, scheme }
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}://127.0.0.1:{}{path}", self.scheme, self.address.port())
    }

    pub fn count(&self) -> usize {
        self.requests.lock().unwrap().len()
    }
}

fn serve(
    stream: TcpStream,
    reply: &Reply,
    log: &Mutex<Vec<Request>>,
    tls: Option<Arc<rustls::ServerConfig>>,
) {
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let Some(config) = tls else {
        let mut wire = stream;
        if let Some(request) = read_request(&mut wire.try_clone().unwrap(), log) {
            reply(&request, &mut wire);
        }
        return;
    };
    let conn = rustls::ServerConnection::new(config).unwrap();
    let mut wire = rustls::StreamOwned::new(conn, stream);
    if let Some(request) = read_request(&mut wire, log) {
        reply(&request, &mut wire);
        wire.conn.send_close_notify();
        wire.flush().ok();
    }
}

/// Reads up to the empty line, byte by byte so that nothing of a tunnel is swallowed.
fn read_request(wire: &mut dyn Read, log: &Mutex<Vec<Request>>) -> Option<Request> {
    let mut head = Vec::new();
    let mut reader = BufReader::with_capacity(1, wire);
    loop {
        let before = head.len();
        if reader.read_until(b'\n', &mut head).ok()? == 0 {
            return None;
        }
        if &head[before..] == b"\r\n" {
            break;
        }
    }
    let text = String::from_utf8(head).ok()?;
    let mut lines = text.lines();
    let mut first = lines.next()?.split(' ');
    let (method, path) = (first.next()?.to_owned(), first.next()?.to_owned());
    let header = |line: &str| line.split_once(": ").map(|(key, value)| (key.to_owned(), value.to_owned()));
    let headers = lines.filter_map(header).collect();
    let mut log = log.lock().unwrap();
    let request = Request { method, path, headers, number: log.len() };
    log.push(request.clone());
    Some(request)
}

/// Writes without caring whether the client is still there.
pub fn send(wire: &mut dyn Wire, bytes: impl AsRef<[u8]>) -> bool {
    wire.write_all(bytes.as_ref()).and_then(|()| wire.flush()).is_ok()
}

pub fn ok(wire: &mut dyn Wire, body: &[u8]) {
    answer(wire, "200 OK", "", body);
}

/// An answer with further headers, each ended by CRLF.
pub fn answer(wire: &mut dyn Wire, status: &str, headers: &str, body: &[u8]) {
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n", body.len());
    let _ = send(wire, head) && send(wire, body);
}

/// A body sent without framing, so that only the end of the connection ends it.
pub fn raw(wire: &mut dyn Wire, head: &str, body: &[u8]) {
    let _ = send(wire, head.replace('\n', "\r\n")) && send(wire, body);
}
