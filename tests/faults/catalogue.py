"""All faults."""

from __future__ import annotations

from faults import contents, streams, transport
from faults.fault import Fault

FAULTS: tuple[Fault, ...] = (*transport.FAULTS, *contents.FAULTS, *streams.FAULTS, *streams.ODDITIES)
BY_NAME = {fault.name: fault for fault in FAULTS}
assert len(BY_NAME) == len(FAULTS), "two faults of one name"
