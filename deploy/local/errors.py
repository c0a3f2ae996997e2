"""What can stop the set-up or the runner."""


class SetupError(Exception):
    """The machine or the configuration is not ready; the message is one sentence with the fix."""
