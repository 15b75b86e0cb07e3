"""A record/replay conformance harness for proxies that answer the Codex CLI."""

__version__ = "0.1.0"
