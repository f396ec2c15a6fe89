#!/usr/bin/env python3
"""Checks the corporate proxy of gateway/.env: its URL, the login in it, NO_PROXY and the certificates.

--connect HOST[:PORT] also asks the proxy for a connection to that host, with the login, and shows its answer. It sends
nothing to the host itself and prints no password.

exit status: 0 good, 1 something is wrong, 2 wrong usage
"""
import argparse
import base64
import os
import pathlib
import socket
import ssl
import sys
import urllib.parse

sys.dont_write_bytecode = True
import gateway_files as gateway


def split_proxy(text):
    """(scheme, host, port, user, password) of a proxy URL; a Problem says what is wrong with it."""
    if "://" not in text:
        raise gateway.Problem("the proxy URL has no scheme; write http://HOST:PORT")
    parts = urllib.parse.urlsplit(text)
    if parts.scheme not in ("http", "https", "socks5", "socks5h"):
        raise gateway.Problem(f"the scheme {parts.scheme} is not one of http, https, socks5")
    if text.count("@") > 1 or "@" in text and "@" not in parts.netloc or " " in text:
        raise gateway.Problem("a special character of the login is not percent-encoded",
                              "write @ as %40, : as %3A, / as %2F, # as %23 and % as %25, or use PROXY_USERNAME and PROXY_PASSWORD")
    try:
        port = parts.port
    except ValueError:
        raise gateway.Problem("the port of the proxy URL is not a number up to 65535") from None
    if not parts.hostname:
        raise gateway.Problem("the proxy URL has no host")
    if parts.path not in ("", "/") or parts.query:
        raise gateway.Problem("the proxy URL has a path or query after the port")
    return parts.scheme, parts.hostname, port or (443 if parts.scheme == "https" else 8080), parts.username, parts.password


def login(values, user, password):
    """The login that the proxy gets: from the URL, else from PROXY_USERNAME and PROXY_PASSWORD."""
    if user is not None:
        return urllib.parse.unquote(user), urllib.parse.unquote(password or "")
    if values.get("PROXY_USERNAME"):
        return values["PROXY_USERNAME"], values.get("PROXY_PASSWORD", "")
    return None


def certificates(report, values):
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"):
        path = values.get(name)
        if not path:
            continue
        try:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.load_verify_locations(cafile=path)
            count = len(context.get_ca_certs())
        except (OSError, ssl.SSLError) as error:
            report.fail(f"{name} does not name a PEM file that can be read: {path} ({error.strerror or error})")
            continue
        report.ok(f"{name}: {count} authorities in {path}")
        if name != "NODE_EXTRA_CA_CERTS" and count < 5:
            report.warn(f"{name} replaces all other authorities and holds {count}: hosts that the proxy does not open will fail",
                        f"cat /etc/ssl/certs/ca-certificates.crt '{path}' > all.pem")
    if bool(values.get("SSL_CERT_FILE")) != bool(values.get("REQUESTS_CA_BUNDLE")):
        report.fail("SSL_CERT_FILE and REQUESTS_CA_BUNDLE go together: the one is for LiteLLM, the other for Google's login",
                    "gwinstall env set REQUESTS_CA_BUNDLE")


def no_proxy(report, values):
    listed = {part.strip() for part in (values.get("NO_PROXY") or "").replace(" ", ",").split(",")}
    if "*" in listed:
        report.fail("NO_PROXY is *: nothing goes through the proxy")
    elif {"127.0.0.1", "localhost"} <= listed:
        report.ok("NO_PROXY keeps the loopback addresses away from the proxy")
    else:
        report.fail("NO_PROXY lacks localhost,127.0.0.1: requests to the gateway on this machine would go to the proxy", "gwinstall env set NO_PROXY")


def connect(report, proxy, credentials, target, timeout):
    scheme, host, port = proxy
    if scheme.startswith("socks"):
        return report.warn("--connect speaks HTTP CONNECT only; a SOCKS proxy was not asked")
    name, _, target_port = target.partition(":")
    request = f"CONNECT {name}:{target_port or 443} HTTP/1.1\r\nHost: {name}:{target_port or 443}\r\n"
    if credentials:
        request += "Proxy-Authorization: Basic " + base64.b64encode(":".join(credentials).encode()).decode() + "\r\n"
    try:
        with socket.create_connection((host, port), timeout) as plain:
            wire = ssl.create_default_context().wrap_socket(plain, server_hostname=host) if scheme == "https" else plain
            wire.sendall((request + "\r\n").encode())
            answer = wire.recv(4096).split(b"\r\n")[0].decode("latin-1")
    except OSError as error:
        return report.fail(f"the proxy {host}:{port} cannot be reached: {error.strerror or error}")
    code = answer.split(" ")[1] if answer.startswith("HTTP/") and " " in answer else ""
    if code == "200":
        return report.ok(f"the proxy opened a connection to {name}")
    if code == "407":
        said = "refused the login" if credentials else "wants a login"
        return report.fail(f"the proxy {said} (407)", "gwinstall env set PROXY_USERNAME")
    return report.fail(f"the proxy did not open a connection to {name}: {answer or 'no answer'}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connect", metavar="HOST[:PORT]", action="append", default=[], help="ask the proxy for a connection to HOST")
    parser.add_argument("--timeout", type=float, default=10)
    parser.add_argument("--dir", type=pathlib.Path, default=gateway.HERE, help="the gateway's directory")
    options = parser.parse_args()
    report = gateway.Report()
    values = {**os.environ, **gateway.read_env(options.dir)}
    url = values.get("HTTPS_PROXY") or values.get("https_proxy")
    if not url:
        report.fail("HTTPS_PROXY has no value", "gwinstall env set HTTPS_PROXY")
        return report.end()
    credentials = proxy = None
    for name in ("HTTPS_PROXY", "HTTP_PROXY"):
        if not (text := values.get(name)):
            continue
        try:
            scheme, host, port, user, password = split_proxy(text)
        except gateway.Problem as problem:
            report.fail(f"{name}: {problem}", problem.hint)
            continue
        report.ok(f"{name} is {scheme}://{host}:{port}")
        if name == "HTTPS_PROXY":
            proxy, credentials = (scheme, host, port), login(values, user, password)
            if credentials and user is not None and values.get("PROXY_USERNAME"):
                report.warn("the login stands in HTTPS_PROXY and in PROXY_USERNAME; the one in the URL counts")
            report.info("a login is sent to the proxy" if credentials else "no login is sent to the proxy")
    no_proxy(report, values)
    certificates(report, values)
    for target in options.connect if proxy else []:
        connect(report, proxy, credentials, target, options.timeout)
    return report.end()


if __name__ == "__main__":
    gateway.run(main)
