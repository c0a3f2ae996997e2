"""What stops a command."""

REJECTED_EXIT_CODE = 2


class CliError(Exception):
    """The command cannot go on; the message is one sentence with the fix."""

    exit_code = 1


class ApiError(CliError):
    """The API refused; `status` is that of its answer.

    Attributes:
        detail: What is wrong and what to do, in the API's words.
    """

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(f"The API answered {status}: {detail}")
        self.status = status
        self.detail = detail
