"""`llmscope`: the command line of the platform. See docs/command-line.md."""
