"""A proxy that answers the Codex CLI's Responses requests from a Chat Completions provider."""

from proxy.app import create_app
from proxy.settings import Settings

__all__ = ["Settings", "create_app"]
