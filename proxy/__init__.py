"""A proxy between the Codex CLI and Cerebras, translated, or ChatGPT's backend, as it is."""

from proxy.app import create_app
from proxy.settings import Settings

__all__ = ["Settings", "create_app"]
