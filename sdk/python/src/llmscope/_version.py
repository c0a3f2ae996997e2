"""The version of this package; the platform has its own."""

__version__ = "0.1.0"
