"""A mail server that really listens, speaks TLS with a certificate of its own, and can fail."""

import base64
import socketserver
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

# What it does once a mail is handed over: answer, cut the line before the answer, answer never; or
# a greeting byte after byte without an end.
Behaviour = Literal["answer", "cut", "hang", "drip"]


@dataclass(frozen=True)
class Mail:
    """One mail as it came.

    Attributes:
        user: Who had logged in; None: nobody.
        is_encrypted: Whether it came over TLS.
    """

    sender: str
    recipients: list[str]
    content: bytes
    user: str | None
    is_encrypted: bool

    @property
    def message(self) -> EmailMessage:
        return message_from_bytes(self.content, policy=policy.default)  # type: ignore[return-value]


def make_certificate(folder: Path, host: str = "localhost") -> tuple[Path, Path]:
    """A certificate for `host` that signs itself, and its key, as PEM files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_path, key_path = folder / "certificate.pem", folder / "key.pem"
    certificate_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return certificate_path, key_path


@dataclass
class MailServer:
    """Remembers the mails that it took.

    Attributes:
        folder: Where its certificate lies.
        reply: Its answer to a mail that was handed over.
        is_tls: Whether TLS begins with the first byte.
        password: What its one user logs in with; None lets everyone send.
    """

    folder: Path
    reply: str = "250 taken"
    behaviour: Behaviour = "answer"
    is_tls: bool = False
    password: str | None = None
    mails: list[Mail] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.certificate, key = make_certificate(self.folder)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(self.certificate, key)
        self.released = threading.Event()
        owner = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with suppress(OSError):
                    Session(owner, self.request).run()

        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    @property
    def accepted(self) -> list[Mail]:
        """One per Message-ID, as a mailbox shows them."""
        return list({one.message["Message-ID"]: one for one in reversed(self.mails)}.values())[::-1]

    def remember(self, mail: Mail) -> None:
        self.mails.append(mail)

    def stop(self) -> None:
        self.released.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


class Session:
    """One connection of a client."""

    def __init__(self, server: MailServer, connection: ssl.SSLSocket) -> None:
        self.server = server
        self.user: str | None = None
        self.is_encrypted = False
        self.sender = ""
        self.recipients: list[str] = []
        self.connection = connection
        if server.is_tls:
            self.encrypt()
        self.file = self.connection.makefile("rb")

    def encrypt(self) -> None:
        self.connection = self.server.context.wrap_socket(self.connection, server_side=True)
        self.file = self.connection.makefile("rb")
        self.is_encrypted = True

    def say(self, *lines: str) -> None:
        self.connection.sendall("".join(f"{line}\r\n" for line in lines).encode())

    def run(self) -> None:
        if self.server.behaviour == "drip":
            while not self.server.released.wait(0.1):
                self.connection.sendall(b"2")
        self.say("220 localhost ready")
        while line := self.file.readline().decode().rstrip("\r\n"):
            verb, _, rest = line.partition(" ")
            if verb.upper() == "QUIT":
                self.say("221 bye")
                return
            if not self.obey(verb.upper(), rest):
                return

    def obey(self, verb: str, rest: str) -> bool:
        """Whether the session goes on."""
        match verb:
            case "EHLO" | "HELO":
                offers = [] if self.is_encrypted else ["250-STARTTLS"]
                self.say("250-localhost", *offers, "250-AUTH PLAIN", "250 8BITMIME")
            case "STARTTLS":
                self.say("220 go ahead")
                self.encrypt()
            case "AUTH":
                self.log_in(rest.removeprefix("PLAIN").strip())
            case "MAIL":
                self.take_sender(rest)
            case "RCPT":
                self.recipients.append(rest.partition("<")[2].partition(">")[0])
                self.say("250 ok")
            case "DATA":
                return self.take_mail()
            case "RSET":
                self.sender, self.recipients = "", []
                self.say("250 ok")
            case _:
                self.say("250 ok")
        return True

    def log_in(self, answer: str) -> None:
        if not answer:
            self.say("334 ")
            answer = self.file.readline().decode().strip()
        _, user, password = base64.b64decode(answer).decode().split("\0")
        if password == self.server.password:
            self.user = user
            self.say("235 welcome")
        else:
            self.say("535 wrong password")

    def take_sender(self, rest: str) -> None:
        if self.server.password is not None and self.user is None:
            self.say("530 log in first")
            return
        self.sender = rest.partition("<")[2].partition(">")[0]
        self.say("250 ok")

    def take_mail(self) -> bool:
        self.say("354 go on")
        lines = []
        while (line := self.file.readline()) not in {b".\r\n", b""}:
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        if self.server.reply.startswith("2"):
            self.server.remember(
                Mail(self.sender, self.recipients, b"".join(lines), self.user, self.is_encrypted)
            )
        self.recipients = []
        if self.server.behaviour == "cut":
            return False
        if self.server.behaviour == "hang":
            self.server.released.wait()
            return False
        self.say(self.server.reply)
        return True
