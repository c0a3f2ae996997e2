"""What can stop the demo."""


class DemoError(Exception):
    """The demo cannot go on; the message is one sentence with the fix."""
