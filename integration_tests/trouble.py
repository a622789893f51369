"""What can be wrong with the answers of an in-process sandbox for a while."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from exact_online_sandbox.sandbox import Sandbox
from source_exact_online.catalog.definitions import catalog

ROWS_DAMAGED = ["error_row", "error_beside", "error_breaks", "no_key", "other_division", "byte_order_mark", "circle"]
OTHERWISE_DAMAGED = ["half_body", "empty_body", "null_d", "error_200", "reset"]
OUTAGES = ["maintenance", "firewall", "gateway_fault", "login_page", "other_site"]
HELPERS = ["sync/Deleted", "read/sync/Sync/SyncTimestamp", "system/Divisions", "hrm/Divisions", "current/Me"]
"""Paths that are no stream's."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that is wrong with some answers of a run.

    Attributes:
        kind: a fault of the sandbox, or `licence` for a division that is closed.
        place: which path: a stream's, a helper's, or all; counted round.
        division: in which; counted round, beyond the last one in all.
        after: so many answers are good.
        count: so many are bad; None for all that come.
    """

    kind: str
    place: int
    division: int
    after: int
    count: int | None

    def begin(self, box: Sandbox, divisions: Sequence[int], streams: Sequence[str], **fields: Any) -> None:
        """Let it begin.

        Args:
            box: the sandbox.
            divisions: of the connection.
            streams: of the connection.
            fields: further ones of the fault.
        """
        division = [*divisions, None][self.division % (len(divisions) + 1)]
        if self.kind == "licence":
            box.rights.deny({"kind": "blocked", "reason": "LicenseExpired", "division": division})
            return
        paths = [*(catalog()[stream].path for stream in streams), "sync/*", "*", *HELPERS]
        path = paths[self.place % len(paths)]
        fault = {"kind": self.kind, "path": path, "after": self.after, "count": self.count, **fields}
        if self.kind == "other_division":
            fault["other"] = 999
        box.faults.add(fault | ({} if path in HELPERS else {"division": division}))
