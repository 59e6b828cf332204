"""File systems that the kernel makes up, such as /proc and /sys: to read what looks like a file may do something."""

from __future__ import annotations

import re
from pathlib import Path

MADE_UP = frozenset(
    (
        *("autofs", "binder", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs"),
        *("debugfs", "devpts", "devtmpfs", "efivarfs", "functionfs", "fusectl", "hugetlbfs"),
        *("mqueue", "nfsd", "nsfs", "proc", "pstore", "resctrl", "rpc_pipefs"),
        *("securityfs", "selinuxfs", "smackfs", "sysfs", "tracefs", "usbfs"),
    )
)
_ESCAPED = re.compile(rb"\\([0-7]{3})")


def kernel_mounts(table: Path = Path("/proc/self/mountinfo")) -> dict[str, str]:
    """Mount point → kind of such a file system; empty where the system does not tell."""
    try:
        lines = table.read_bytes().splitlines()
    except OSError:
        return {}
    found: dict[str, str] = {}
    for line in lines:
        before, _, after = line.partition(b" - ")
        fields, kind = before.split(b" "), after.split(b" ", 1)[0].decode("ascii", "replace")
        if len(fields) > 4 and kind in MADE_UP:
            point = _ESCAPED.sub(lambda match: bytes([int(match[1], 8) & 0xFF]), fields[4])
            found[point.decode("utf-8", "surrogateescape")] = kind
    return found


def kernel_mount_of(folder: Path) -> str:
    """The kind of the one that this folder lies in; "" where it lies in none."""
    mounts = kernel_mounts()
    return next((mounts[str(each)] for each in (folder, *folder.parents) if str(each) in mounts), "")
