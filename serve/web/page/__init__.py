"""The page: what visitors see at the server's root."""

from .layout import build_page

__all__ = ["build_page"]
