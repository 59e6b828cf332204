"""Kinds of settings that many tables have."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

Bytes = Annotated[int, Meta(ge=1)]
Count = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(gt=0)]
Probability = Annotated[float, Meta(ge=0, le=1)]
