"""The receivers of notifications as a process of their own: one HTTP server and one mail server.

    with run_receivers(folder) as receivers:
        receivers.url("slack"), receivers.smtp_port, receivers.certificate
        receivers.taken("slack")         what was posted there, one per idempotency key
        receivers.mails()                one per Message-ID
        receivers.answer(status=503)     to every post from now on

`python -m tests.receivers FOLDER` writes its ports to FOLDER/ports.json, and each message to
FOLDER/posts.jsonl or FOLDER/mails.jsonl as soon as it is there.
"""

import json
import signal
import subprocess
import sys
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.local.environment import ROOT
from tests.mail_server import Mail, MailServer
from tests.running import wait_until
from tests.webhook import Received, WebhookServer

START_SECONDS = 20.0


@dataclass(frozen=True)
class Receivers:
    """The running process, as a test sees it."""

    folder: Path
    http_port: int
    smtp_port: int

    @property
    def certificate(self) -> Path:
        """What the mail server proves its name `localhost` with: for SSL_CERT_FILE."""
        return self.folder / "certificate.pem"

    def url(self, kind: str) -> str:
        """Where messages of a kind are posted; any word will do."""
        return f"http://127.0.0.1:{self.http_port}/{kind}"

    def answer(self, status: int = 204) -> None:
        """Answer every post with `status` from now on."""
        (self.folder / "status").write_text(str(status))

    def posts(self, kind: str) -> list[Received]:
        """Every post of a kind, repeats and refused ones too."""
        found = [Received(**{**one, "body": b64decode(one["body"])}) for one in self._read("posts")]
        return [one for one in found if one.path == f"/{kind}"]

    def taken(self, kind: str) -> list[Received]:
        """What was taken, one per idempotency key, as a receiver that honours the key keeps it."""
        by_key: dict[str | None, Received] = {}
        for one in self.posts(kind):
            if one.status < 300:
                by_key.setdefault(one.key, one)
        return list(by_key.values())

    def all_mails(self) -> list[Mail]:
        """Every mail, repeats too."""
        return [
            Mail(**{**one, "content": b64decode(one["content"])}) for one in self._read("mails")
        ]

    def mails(self) -> list[Mail]:
        """One per Message-ID, as a mailbox shows them."""
        by_id: dict[str, Mail] = {}
        for one in self.all_mails():
            by_id.setdefault(one.message["Message-ID"], one)
        return list(by_id.values())

    def _read(self, name: str) -> list[dict[str, Any]]:
        path = self.folder / f"{name}.jsonl"
        text = path.read_text() if path.exists() else ""
        return [json.loads(line) for line in text.splitlines()]


@contextmanager
def run_receivers(folder: Path) -> Iterator[Receivers]:
    """The process, until the context ends; what it received stays in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen([sys.executable, "-m", "tests.receivers", str(folder)], cwd=ROOT)
    ports = folder / "ports.json"
    try:
        wait_until(ports.exists, "the receivers listen", START_SECONDS)
        yield Receivers(folder, **json.loads(ports.read_text()))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(START_SECONDS)


class RecordingWebhook(WebhookServer):
    """Writes each request to a file before it answers."""

    folder: Path

    def remember(self, one: Received) -> None:
        status = self.folder / "status"
        self.status = int(status.read_text() or 204) if status.exists() else 204
        content = {**vars(one), "body": b64encode(one.body).decode(), "status": self.status}
        _append(self.folder / "posts.jsonl", content)


class RecordingMailServer(MailServer):
    """Writes each mail to a file before it answers."""

    def remember(self, mail: Mail) -> None:
        content = {**vars(mail), "content": b64encode(mail.content).decode()}
        _append(self.folder / "mails.jsonl", content)


def _append(path: Path, content: dict[str, Any]) -> None:
    # One write: neither another thread nor a reader sees half a line.
    with path.open("ab", buffering=0) as file:
        file.write(json.dumps(content).encode() + b"\n")


def serve(folder: Path) -> None:
    """Listen until SIGTERM."""
    signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    webhook, mail_server = RecordingWebhook(), RecordingMailServer(folder)
    webhook.folder = folder
    ports = {"http_port": webhook.port, "smtp_port": mail_server.port}
    unfinished = folder / "ports.tmp"
    unfinished.write_text(json.dumps(ports))
    unfinished.rename(folder / "ports.json")
    signal.sigwait(signals)
    webhook.stop()
    mail_server.stop()


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
