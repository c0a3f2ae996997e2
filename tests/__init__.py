"""The whole: end to end, kill tests, browser."""
