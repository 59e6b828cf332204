"""The routing tests run on a clock of their own."""

from own_clock import pytest_asyncio_loop_factories

__all__ = ["pytest_asyncio_loop_factories"]
