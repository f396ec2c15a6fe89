//! Downloads against a server that misbehaves: D01–D14 of the attack table. Promise shown: whatever the server does,
//! the client ends in bounded time with exit class 10, and never hands out other bytes than the server meant.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::server::{Request, Server, Wire, answer, ok, raw, send};
use gwinstall::domain::{Error, Kind, Result, Secret};
use gwinstall::doors::net::{Answer, Authorities, Bypass, Client, ProxyRule, Timeouts};

const BODY: &[u8] = b"0123456789abcdef0123456789abcdef";

/// Short waits, so that the tests of waits are short.
fn timeouts() -> Timeouts {
    Timeouts {
        connect: Duration::from_millis(1500),
        idle: Duration::from_millis(400),
        total: Duration::from_millis(1500),
        pause: Duration::from_millis(5),
    }
}

fn client() -> Client {
    Client::new(Authorities::compiled_in(), None, None, timeouts())
}

/// One download of `BODY` from a server that answers like this.
fn download(server: &Server) -> Result<Vec<u8>> {
    client().download(&server.url("/x"), BODY.len() as u64, &mut || Ok(Vec::new()), &mut |_| ())
}

fn fails(server: &Server, words: &str) -> Error {
    let started = Instant::now();
    let error = download(server).expect_err(words);
    assert_eq!(error.kind(), Kind::Network, "{error}");
    assert!(error.to_string().contains(words), "{error} does not say {words:?}");
    assert!(started.elapsed() < Duration::from_secs(8), "{words}: took {:?}", started.elapsed());
    error
}

/// D01: cut at every power of two and before the last byte; the next try begins at the first byte.
#[test]
fn d01_truncated() {
    for cut in [0, 1, 2, 4, 8, 16, BODY.len() - 1] {
        let server = Server::start(move |_, wire| {
            raw(wire, &format!("HTTP/1.1 200 OK\nContent-Length: {}\n\n", BODY.len()), &BODY[..cut]);
        });
        fails(&server, "");
        assert_eq!(server.count(), 4, "cut at {cut}");
        let server = Server::start(move |request, wire| match request.number {
            0 | 1 => raw(wire, &format!("HTTP/1.1 200 OK\nContent-Length: {}\n\n", BODY.len()), &BODY[..cut]),
            _ => ok(wire, BODY),
        });
        assert_eq!(download(&server).unwrap(), BODY, "cut at {cut}");
    }
    let unframed = Server::start(|_, wire| raw(wire, "HTTP/1.1 200 OK\nConnection: close\n\n", &BODY[..7]));
    fails(&unframed, "ended after 7 of 32 bytes");
}

/// D02: an endless body, one byte too many, impossible lengths.
#[test]
fn d02_endless() {
    let endless = Server::start(|_, wire| {
        send(wire, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
        while send(wire, [b'x'; 4096]) {}
    });
    fails(&endless, "does not end after the 32 bytes");
    let longer =
        Server::start(|_, wire| raw(wire, "HTTP/1.1 200 OK\nConnection: close\n\n", &[BODY, b"x"].concat()));
    fails(&longer, "does not end after the 32 bytes");
    for length in ["33", "9223372036854775808", "18446744073709551615"] {
        let server = Server::start(move |_, wire| {
            raw(wire, &format!("HTTP/1.1 200 OK\nContent-Length: {length}\n\n"), BODY);
        });
        fails(&server, "announces");
        assert_eq!(server.count(), 1, "no retry for {length}");
    }
    let document = client().document(&longer.url("/x"), 31, None).unwrap_err();
    assert_eq!(document.kind(), Kind::Network);
}

/// D03: a server that stops, or sends a byte now and then, in the headers and in the body.
#[test]
fn d03_slow() {
    let silent = Server::start(|_, _| std::thread::sleep(Duration::from_secs(3)));
    fails(&silent, "stopped sending");
    let drip = |wire: &mut dyn Wire, bytes: &[u8]| {
        for byte in bytes {
            if !send(wire, [*byte]) {
                return;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    };
    let headers = Server::start(move |_, wire| drip(wire, &b"HTTP/1.1 200 OK\r\n".repeat(10)));
    fails(&headers, "");
    let body = Server::start(move |_, wire| {
        send(wire, format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", BODY.len()));
        drip(wire, BODY);
    });
    fails(&body, "");
    let half = Server::start(|_, wire| {
        raw(wire, &format!("HTTP/1.1 200 OK\nContent-Length: {}\n\n", BODY.len()), &BODY[..16]);
        std::thread::sleep(Duration::from_secs(3));
    });
    fails(&half, "stopped sending");
}

/// D04: redirects to everywhere but where releases are.
#[test]
fn d04_redirects() {
    let elsewhere = Server::start(|_, wire| ok(wire, BODY));
    let other = format!("http://127.0.0.1:{}/x", elsewhere.address.port());
    for location in [
        "http://example.com/x",
        "file:///etc/passwd",
        "ftp://127.0.0.1/x",
        "//example.com/x",
        "https://example.com/x",
        "https://github.com.example.com/x",
        "https://evilgithub.com/x",
        "https://githubusercontent.com.example.com/",
        "https://github.com:8443/x",
        "http://user@127.0.0.1/x",
        "javascript:alert(1)",
        other.as_str(),
    ] {
        let target = location.to_owned();
        let server =
            Server::start(move |_, wire| answer(wire, "302 Found", &format!("Location: {target}\r\n"), b""));
        fails(&server, "redirect refused");
        assert_eq!(server.count(), 1, "{location}");
    }
    assert_eq!(elsewhere.count(), 0);
    let bare = Server::start(|_, wire| answer(wire, "302 Found", "", b""));
    fails(&bare, "does not say where to");
    let circle = Server::start(|_, wire| answer(wire, "302 Found", "Location: /x\r\n", b""));
    fails(&circle, "more than 5");
    assert_eq!(circle.count(), 6);
    let hops = |last: usize| {
        Server::start(move |request, wire| match request.number {
            number if number < last => answer(wire, "307 X", "Location: next\r\n", b""),
            _ => ok(wire, BODY),
        })
    };
    assert_eq!(download(&hops(5)).unwrap(), BODY);
    fails(&hops(6), "more than 5");
}

/// D05: lengths that lie, and chunks that lie.
#[test]
fn d05_lengths() {
    let short = Server::start(|_, wire| raw(wire, "HTTP/1.1 200 OK\nContent-Length: 5\n\n", BODY));
    fails(&short, "ended after 5 of 32 bytes");
    let good = Server::start(|_, wire| {
        raw(wire, "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n", b"");
        send(wire, b"10\r\n0123456789abcdef\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n");
    });
    assert_eq!(download(&good).unwrap(), BODY);
    for chunks in
        ["20\r\n0123", "zz\r\n", "-1\r\n", "ffffffffffffffffff\r\n0123", "4\r\n01234567\r\n0\r\n\r\n"]
    {
        let server = Server::start(move |_, wire| {
            raw(wire, "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n", b"");
            send(wire, chunks);
        });
        fails(&server, "");
    }
    let two = Server::start(|_, wire| {
        raw(wire, "HTTP/1.1 200 OK\nContent-Length: 32\nContent-Length: 5\n\n", BODY)
    });
    assert!(download(&two).is_err() || download(&two).unwrap() == BODY);
}

/// D06: nothing is decoded on the way; text in another charset would be re-coded and is refused.
#[test]
fn d06_encodings() {
    let asked = Server::start(|request, wire| {
        assert_eq!(request.header("accept-encoding"), Some("identity"));
        ok(wire, BODY);
    });
    assert_eq!(download(&asked).unwrap(), BODY);
    for encoding in ["x-gzip", "br", "deflate", "gzip, gzip"] {
        let server = Server::start(move |_, wire| {
            answer(wire, "200 OK", &format!("Content-Encoding: {encoding}\r\n"), BODY);
        });
        fails(&server, "encoded as");
    }
    let unzipped = Server::start(|_, wire| answer(wire, "200 OK", "Content-Encoding: gzip\r\n", BODY));
    fails(&unzipped, "not the gzip that its headers claim");
    // A bundle served as "Content-Encoding: gzip" arrives unpacked: its length gives it away.
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(9));
    gz.write_all(&[7; 4096]).unwrap();
    let gz = gz.finish().unwrap();
    let len = gz.len() as u64;
    let server = Server::start(move |_, wire| answer(wire, "200 OK", "Content-Encoding: gzip\r\n", &gz));
    let outcome = client().download(&server.url("/x"), len, &mut || Ok(Vec::new()), &mut |_| ());
    assert!(outcome.unwrap_err().to_string().contains("does not end after"));
    let latin = Server::start(|_, wire| {
        answer(wire, "200 OK", "Content-Type: text/plain; charset=iso-8859-1\r\n", BODY)
    });
    fails(&latin, "text in iso-8859-1");
    for kind in [
        "text/plain; charset=utf-8",
        "text/plain",
        "application/octet-stream",
        "application/json; charset=UTF-8",
    ] {
        let server =
            Server::start(move |_, wire| answer(wire, "200 OK", &format!("Content-Type: {kind}\r\n"), BODY));
        assert_eq!(download(&server).unwrap(), BODY, "{kind}");
    }
    let bytes: Vec<u8> = (0..=255).collect();
    let server = Server::start(|_, wire| {
        answer(wire, "200 OK", "Content-Type: text/plain\r\n", &(0..=255).collect::<Vec<u8>>())
    });
    let got = client().download(&server.url("/x"), 256, &mut || Ok(Vec::new()), &mut |_| ()).unwrap();
    assert_eq!(got, bytes);
}

/// D07: a captive portal's page with status 200.
#[test]
fn d07_pages() {
    for page in ["<!DOCTYPE html><html>", "  \n<HTML>", "\u{feff}<html lang=en>", "<?xml version='1.0'?>"] {
        let body = format!("{page}{}", "x".repeat(BODY.len() - page.len()));
        let server = Server::start(move |_, wire| ok(wire, body.as_bytes()));
        fails(&server, "looks like a web page");
        let error = client().document(&server.url("/x"), 64, None).unwrap_err();
        assert!(error.to_string().contains("captive portal"), "{error}");
    }
    let empty = Server::start(|_, wire| ok(wire, b""));
    fails(&empty, "ended after 0 of 32");
}

/// D08: limits of GitHub and others: told, never slept through.
#[test]
fn d08_limits() {
    let forbidden = Server::start(|_, wire| {
        answer(wire, "403 Forbidden", "x-ratelimit-remaining: 0\r\nx-ratelimit-reset: 1795255200\r\n", b"{}");
    });
    fails(&forbidden, "403 (refused), the limit ends at 2026-11-21T10:00:00Z");
    assert_eq!(forbidden.count(), 1);
    for status in ["429 Too Many", "503 Busy"] {
        let long = Server::start(move |_, wire| answer(wire, status, "Retry-After: 99999999\r\n", b""));
        fails(&long, "the limit ends in 99999999 seconds");
        assert_eq!(long.count(), 1);
    }
    let short = Server::start(|request, wire| match request.number {
        0 => answer(wire, "429 Too Many", "Retry-After: 1\r\n", b""),
        _ => ok(wire, BODY),
    });
    let started = Instant::now();
    assert_eq!(download(&short).unwrap(), BODY);
    assert!(started.elapsed() >= Duration::from_secs(1));
}

/// D09: half a release: missing is told apart from forbidden.
#[test]
fn d09_missing() {
    let server = Server::start(|_, wire| answer(wire, "404 Not Found", "", b"<html>"));
    fails(&server, "the release may be incomplete");
    assert_eq!(client().document(&server.url("/x"), 64, None).unwrap(), Answer::Missing);
    for status in ["400 Bad", "401 Who", "410 Gone", "451 Law"] {
        let server = Server::start(move |_, wire| answer(wire, status, "", b""));
        fails(&server, &status[..3]);
        assert_eq!(server.count(), 1, "{status}");
    }
}

/// D10: a server that recovers, and one that does not.
#[test]
fn d10_errors_that_pass() {
    let recovers = Server::start(|request, wire| match request.number {
        0 => answer(wire, "500 Oops", "", b""),
        1 => answer(wire, "502 Oops", "", b"<html>"),
        _ => ok(wire, BODY),
    });
    assert_eq!(download(&recovers).unwrap(), BODY);
    assert_eq!(recovers.count(), 3);
    let broken = Server::start(|_, wire| answer(wire, "503 Oops", "", b""));
    fails(&broken, "503");
    assert_eq!(broken.count(), 4);
}

/// D11: nothing is resumed: no Range is asked for, and each attempt writes from the start.
#[test]
fn d11_no_resume() {
    let server = Server::start(|request, wire| {
        assert_eq!(request.header("range"), None);
        match request.number {
            0 => raw(wire, "HTTP/1.1 200 OK\nContent-Length: 32\n\n", b"XXXXXXXXXXXXXXXX"),
            1 => answer(wire, "206 Partial", "Content-Range: bytes 16-31/32\r\n", &BODY[16..]),
            _ => ok(wire, BODY),
        }
    });
    fails(&server, "206");
    let mut opened = 0;
    let server = Server::start(|request, wire| match request.number {
        0 => raw(wire, "HTTP/1.1 200 OK\nContent-Length: 32\n\n", b"XXXXXXXXXXXXXXXX"),
        _ => ok(wire, BODY),
    });
    let mut heard = Vec::new();
    let open = &mut || {
        opened += 1;
        Ok(Vec::new())
    };
    let got = client().download(&server.url("/x"), 32, open, &mut |arrived| heard.push(arrived)).unwrap();
    assert_eq!((got.as_slice(), opened), (BODY, 2));
    assert_eq!(heard.last(), Some(&32));
}

/// A sink that fails is our own error and is not retried.
#[test]
fn a_full_disk_is_no_network_error() {
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let server = Server::start(|_, wire| ok(wire, BODY));
    let outcome = client().download(&server.url("/x"), 32, &mut || Ok(Full), &mut |_| ());
    assert_eq!(outcome.err().unwrap().kind(), Kind::Failed);
    assert_eq!(server.count(), 1);
}

/// D13: a proxy with credentials, one that refuses, and NO_PROXY; no password in any message.
#[test]
fn d13_proxies() {
    let through = |value: &str| {
        let rule =
            ProxyRule::parse("HTTPS_PROXY", value, Bypass::parse("NO_PROXY", "inside.example.com").unwrap());
        Client::new(Authorities::compiled_in(), Some(rule.unwrap()), None, timeouts())
    };
    let proxy = Server::start(|_, wire| answer(wire, "407 Proxy Authentication Required", "", b""));
    let client = through(&format!("http://user:geheim@127.0.0.1:{}", proxy.address.port()));
    let error = client.document("https://release.example.com/x", 64, None).unwrap_err();
    assert_eq!(error.kind(), Kind::Network);
    let text = error.to_string();
    assert!(text.contains("the proxy refused") && text.contains("407"), "{text}");
    assert!(text.contains("HTTPS_PROXY") && !text.contains("geheim"), "{text}");
    let seen = proxy.requests.lock().unwrap()[0].clone();
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("CONNECT", "release.example.com:443"));
    assert!(seen.header("proxy-authorization").unwrap().starts_with("Basic "));
    // This machine is never asked of a proxy, and neither are bypassed hosts.
    let local = Server::start(|_, wire| ok(wire, BODY));
    client.document(&local.url("/x"), 64, None).unwrap();
    client.document("https://inside.example.com/x", 64, None).unwrap_err();
    assert_eq!(proxy.count(), 1);
}

/// D14: no such host, refused, reset in the body; all within their time and named.
#[test]
fn d14_dead_ends() {
    let error = client().document("https://no-such-host.invalid/x", 64, None).unwrap_err();
    assert_eq!(error.kind(), Kind::Network);
    assert!(error.to_string().contains("name of the host cannot be resolved"), "{error}");
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = client().document(&format!("http://127.0.0.1:{port}/x"), 64, None).unwrap_err();
    assert!(
        error.to_string().contains("refused") && error.to_string().contains("127.0.0.1 (IPv4)"),
        "{error}"
    );
    let started = Instant::now();
    // TEST-NET-1: nothing answers there.
    let error = client().document("https://192.0.2.1/x", 64, None).unwrap_err();
    assert_eq!(error.kind(), Kind::Network);
    assert!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());
    let garbage = Server::start(|_, wire| raw(wire, "SSH-2.0-OpenSSH_9.2\n", b""));
    fails(&garbage, "");
}

/// A check costs one conditional GET, and 304 has no body.
#[test]
fn etags() {
    let server =
        Server::start(|request: &Request, wire: &mut dyn Wire| match request.header("if-none-match") {
            Some("\"v1\"") => {
                raw(wire, "HTTP/1.1 304 Not Modified\nETag: \"v1\"\nConnection: close\n\n", b"")
            }
            _ => answer(wire, "200 OK", "ETag: \"v1\"\r\n", BODY),
        });
    let Answer::Document { bytes, etag } = client().document(&server.url("/x"), 64, None).unwrap() else {
        panic!()
    };
    assert_eq!((bytes.as_slice(), etag.as_deref()), (BODY, Some("\"v1\"")));
    assert_eq!(client().document(&server.url("/x"), 64, etag.as_deref()).unwrap(), Answer::NotModified);
    let unasked = Server::start(|_, wire| raw(wire, "HTTP/1.1 304 Not Modified\nConnection: close\n\n", b""));
    assert!(client().document(&unasked.url("/x"), 64, None).is_err());
}

/// The token goes to GitHub alone; a mirror on this machine does not see it.
#[test]
fn tokens_stay_at_home() {
    let server = Server::start(|request, wire| {
        assert_eq!(request.header("authorization"), None);
        ok(wire, BODY);
    });
    let token = Some(Secret::new("ghp_secret"));
    let client = Client::new(Authorities::compiled_in(), None, token, timeouts());
    client.document(&server.url("/x"), 64, None).unwrap();
    assert_eq!(server.requests.lock().unwrap()[0].header("authorization"), None);
}

/// Query strings of release hosts hold short-lived credentials: they are in no message.
#[test]
fn queries_are_not_shown() {
    let server = Server::start(|_, wire| answer(wire, "403 Forbidden", "", b""));
    let error = client().document(&server.url("/x?X-Amz-Signature=geheim"), 64, None).unwrap_err();
    assert!(!error.to_string().contains("geheim"), "{error}");
}

/// `doctor net`'s facts.
#[test]
fn diagnosis() {
    let server =
        Server::start(|_, wire| answer(wire, "200 OK", "Date: Sat, 21 Nov 2020 10:00:00 GMT\r\n", b"x"));
    let facts = client().diagnose(&server.url("/")).unwrap();
    assert_eq!(facts.answer, Ok(200));
    assert_eq!(facts.addresses.unwrap(), ["127.0.0.1 (IPv4)"]);
    assert!(facts.clock_skew.unwrap() > 86_400);
    assert!(facts.authorities[0].count > 100);
    assert_eq!((facts.proxy, facts.issuer), (None, None));
}

/// One connection's bytes, to be sure that the client says nothing more than it must.
#[test]
fn the_request_is_small_and_anonymous() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/channel-stable.json", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = vec![0; 4096];
        let read = stream.read(&mut head).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}").unwrap();
        String::from_utf8(head[..read].to_vec()).unwrap()
    });
    client().document(&url, 64, None).unwrap();
    let head = server.join().unwrap();
    assert!(head.len() < 300, "{head}");
    let mut names: Vec<_> = head
        .lines()
        .skip(1)
        .filter_map(|line| line.split(':').next())
        .filter(|name| !name.is_empty())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["accept", "accept-encoding", "host", "user-agent"], "{head}");
}
