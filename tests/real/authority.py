"""A certificate authority that only its directory knows: the company's own, as a TLS-inspecting proxy or a private gateway has it."""

import datetime
import ipaddress
import os
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

BEGINS, ENDS = datetime.datetime(2020, 1, 1), datetime.datetime(2049, 1, 1)


def name_of(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:60])])


class Authority:
    """`ca_path` is what a client must trust; `context(host)` is a server's side of TLS under that host's name."""

    def __init__(self, directory):
        self.directory, self.contexts = directory, {}
        self.key, self.leaf_key = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))
        self.leaf_pem = self.leaf_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        own = (
            self.begun("fake corporate CA", self.key)
            .add_extension(x509.BasicConstraints(True, None), True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), False)
            .add_extension(x509.KeyUsage(True, False, False, False, False, True, True, False, False), True)
        )
        self.ca_path = os.path.join(directory, "ca.pem")
        self.write(self.ca_path, own)

    def begun(self, name, key):
        return (
            x509.CertificateBuilder()
            .subject_name(name_of(name))
            .issuer_name(name_of("fake corporate CA"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(BEGINS)
            .not_valid_after(ENDS)
        )

    def write(self, path, builder, private=b""):
        signed = builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        with open(path, "wb") as file:
            file.write(signed + private)

    def context(self, host):
        if host not in self.contexts:
            names = [x509.DNSName(host)]
            if host == "localhost":
                names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
            leaf = (
                self.begun(host, self.leaf_key)
                .add_extension(x509.SubjectAlternativeName(names), False)
                .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), False)
            )
            path = os.path.join(self.directory, f"leaf{len(self.contexts)}.pem")
            self.write(path, leaf, self.leaf_pem)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(path)
            self.contexts[host] = context
        return self.contexts[host]
