"""One mail to one mail server, over a connection that goes where the policy lets it."""

import smtplib
import socket
import ssl
from contextlib import suppress
from email.message import EmailMessage
from threading import Timer

from ingest_api.notifying.kinds import EmailSettings
from ingest_api.notifying.networks import TargetError, TargetPolicy
from orchestration.alerting.http_sender import CONNECT_SECONDS, MAX_ADDRESSES, Deadline, error_words
from orchestration.alerting.outcomes import DELIVERED, Outcome, smtp_outcome


class GuardedSmtp(smtplib.SMTP):
    """A session whose socket the policy has judged; TLS from the first byte where it is `tls`."""

    def __init__(
        self,
        settings: EmailSettings,
        policy: TargetPolicy,
        deadline: Deadline,
        tls: ssl.SSLContext,
    ) -> None:
        """Connect and read the greeting.

        Raises:
            TargetError: no address of the host may be reached.
            OSError: nothing answers there, or something that is no mail server.
        """
        self._settings = settings
        self._policy = policy
        self._deadline = deadline
        self._tls = tls
        self.sock = None
        # The session's own time limit begins anew with each piece of a line.
        self._cutter = Timer(deadline.cap(None), self._cut)
        self._cutter.daemon = True
        self._cutter.start()
        try:
            super().__init__(settings.host, settings.port, timeout=deadline.cap(None))
        except BaseException:
            self._cutter.cancel()
            raise

    def _get_socket(self, host: str, port: int, _timeout: float) -> socket.socket:
        is_encrypted = self._settings.security != "none"
        found = self._policy.addresses(host, port, is_encrypted=is_encrypted)
        connection = _connect_first(found[:MAX_ADDRESSES], port, self._deadline)
        if self._settings.security == "tls":
            return self._tls.wrap_socket(connection, server_hostname=host)
        return connection

    def _cut(self) -> None:
        if self.sock is not None:
            with suppress(OSError):
                self.sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End the session, and the watch over it."""
        self._cutter.cancel()
        super().close()

    def prepare(self, password: str | None) -> None:
        """Turn to TLS and log in, as the settings say.

        Raises:
            OSError: the server does not play along, or does not prove its name.
        """
        if self._settings.security == "starttls":
            self.starttls(context=self._tls)
        if self._settings.username is not None and password is not None:
            self.login(self._settings.username, password)


def send_mail(
    message: EmailMessage,
    settings: EmailSettings,
    password: str | None,
    policy: TargetPolicy,
    deadline: Deadline,
    tls: ssl.SSLContext,
) -> Outcome:
    """One attempt; whatever happens is an outcome."""
    try:
        session = GuardedSmtp(settings, policy, deadline, tls)
    except TargetError as error:
        return Outcome(str(error))
    except OSError as error:
        return _lost(error)
    try:
        session.prepare(password)
    except OSError as error:
        session.close()
        return _lost(error)
    return _hand_over(session, message)


def tls_context(settings: EmailSettings, verified: ssl.SSLContext) -> ssl.SSLContext:
    """`verified`, or one that takes any certificate where the channel says so."""
    if settings.verify_certificate:
        return verified
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _hand_over(session: GuardedSmtp, message: EmailMessage) -> Outcome:
    """Whoever the server takes gets the mail; one recipient is enough to be delivered."""
    try:
        session.send_message(message)
        with suppress(OSError):
            session.quit()
        return DELIVERED
    except smtplib.SMTPRecipientsRefused as error:
        return smtp_outcome(min(code for code, _ in error.recipients.values()))
    except smtplib.SMTPResponseException as error:
        return smtp_outcome(error.smtp_code)
    except OSError as error:
        return Outcome(error_words(error), may_have_arrived=True)
    finally:
        session.close()


def _lost(error: OSError) -> Outcome:
    """Before the mail was handed over. A wrong password may be mended, so nothing here is final."""
    if isinstance(error, smtplib.SMTPResponseException):
        return Outcome(smtp_outcome(error.smtp_code).error or error_words(error))
    return Outcome(error_words(error))


def _connect_first(addresses: list[str], port: int, deadline: Deadline) -> socket.socket:
    *others, last = addresses
    for address in others:
        with suppress(OSError):
            return _connect(address, port, deadline)
    return _connect(last, port, deadline)


def _connect(address: str, port: int, deadline: Deadline) -> socket.socket:
    connection = socket.create_connection((address, port), deadline.cap(CONNECT_SECONDS))
    connection.settimeout(deadline.cap(None))
    return connection
