"""Open questions about Exact Online, and what a recording says to them.

Each takes all exchanges and returns what they show, and whether that is what is assumed (None where nothing is); None
where they show nothing. The questions are those that no public source answers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from itertools import pairwise
from typing import Any
from urllib.parse import unquote

from integration_tests.record.exchanges import Exchange
from source_exact_online.api.site_clock import site_clock
from source_exact_online.catalog.definitions import UNDOCUMENTED, catalog

Exchanges = Sequence[Exchange]

Finding = tuple[str, bool | None]
"""What was seen, and whether that is what is assumed."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question, what the connector assumes, and how to find the answer.

    Attributes:
        text: the question.
        assumed: what the connector and the sandbox take for true.
        answer: finds it in a recording.
    """

    text: str
    assumed: str
    answer: Callable[[Exchanges], Finding | None]


def _of(exchanges: Exchanges, path: str) -> list[Exchange]:
    return [one for one in exchanges if one.path == path]


def _feeds(exchanges: Exchanges) -> dict[str, list[Exchange]]:
    found: dict[str, list[Exchange]] = {}
    for one in exchanges:
        if one.path.startswith("sync/") and one.status == 200 and one.rows and "Timestamp" in one.rows[0]:
            found.setdefault(one.listing, []).append(one)
    return {pages[0].path: pages for pages in found.values()}


def clock(exchanges: Exchanges) -> Finding | None:
    for one in _of(exchanges, "current/Me"):
        if one.rows and "date" in one.headers:
            row, now = one.rows[0], parsedate_to_datetime(one.headers["date"])
            zone = site_clock(row.get("ServerTime"), row.get("ServerUtcOffset"), now.timestamp() * 1000).zone
            return f"{zone} (ServerUtcOffset {row.get('ServerUtcOffset')})", zone == "Europe/Amsterdam"
    return None


def limits(exchanges: Exchanges) -> Finding | None:
    found = [one.headers for one in exchanges if "x-ratelimit-limit" in one.headers]
    if not found:
        return None
    last = found[-1]
    minute, day = last.get("x-ratelimit-minutely-limit"), last["x-ratelimit-limit"]
    return f"{minute} a minute, {day} a day", (minute, day) == ("60", "5000")


def day_ends(exchanges: Exchanges) -> Finding | None:
    resets = {one.headers["x-ratelimit-reset"] for one in exchanges if "x-ratelimit-reset" in one.headers}
    if not resets:
        return None
    moment = datetime.fromtimestamp(int(max(resets)) / 1000, tz=timezone.utc)
    return f"{moment:%H:%M} UTC", (moment.hour, moment.minute) == (0, 0)


def order(exchanges: Exchanges) -> Finding | None:
    feeds = _feeds(exchanges)
    if not feeds:
        return None
    odd = [path for path, pages in feeds.items() if any(a > b for a, b in pairwise(_versions(pages)))]
    return (f"not in {', '.join(odd)}" if odd else f"in all {len(feeds)} feeds"), not odd


def _versions(pages: Exchanges) -> Iterator[int]:
    return (int(row["Timestamp"]) for page in pages for row in page.rows)


def skip_token(exchanges: Exchanges) -> Finding | None:
    links = [unquote(one.next_url) for pages in _feeds(exchanges).values() for one in pages if one.next_url]
    if not links:
        return None
    token = links[0].partition("$skiptoken=")[2]
    return token, token.removesuffix("L").isdigit()


def feed_keys(exchanges: Exchanges) -> Finding | None:
    """Whether the ID of a header in a feed is the entity's own key; deletions with full_columns depend on it."""
    seen: dict[str, bool] = {}
    for name, one in catalog().items():
        if one.header_key and one.path.startswith("sync/") and one.rows.value != "lines":
            rows = [row for page in _of(exchanges, one.path) for row in page.rows if not row.get("LineNumber")]
            pairs = [(row["ID"], row[one.header_key]) for row in rows if row.get("ID") and row.get(one.header_key)]
            if pairs and name != "transaction_lines":
                seen[name] = all(left == right for left, right in pairs)
    if not seen:
        return None
    told = ", ".join(f"{name}: {'the same' if same else 'another'}" for name, same in seen.items())
    return told, None


def vat_lines(exchanges: Exchanges) -> Finding | None:
    found = Counter(
        path for path, pages in _feeds(exchanges).items() for page in pages for row in page.rows
        if row.get("LineNumber") == 9999
    )  # fmt: skip
    if not any("LineNumber" in row for pages in _feeds(exchanges).values() for page in pages for row in page.rows):
        return None
    told = ", ".join(f"{path}: {count}" for path, count in found.items()) or "in none of the pages read"
    return told, set(found) <= {"sync/SalesInvoice/SalesInvoices", "sync/Financial/TransactionLines"}


def refused(exchanges: Exchanges) -> Finding | None:
    odd = {f"{one.path}: {one.status} {_words(one)}" for one in exchanges if one.status in (400, 403, 404)}
    if not odd:
        return "nothing was refused", True
    return "; ".join(sorted(odd)), all(one.status == 403 for one in exchanges if one.status in (400, 403, 404))


def _words(exchange: Exchange) -> str:
    document = exchange.document
    error = document.get("error") if isinstance(document, dict) else None
    message: Any = error.get("message", {}).get("value", "") if isinstance(error, dict) else ""
    return f"{exchange.headers.get('reason', '')} {message}".strip()


def undocumented(exchanges: Exchanges) -> Finding | None:
    paths = {one.path: name for name, one in catalog().items() if one.group == UNDOCUMENTED}
    found = {one.path: one.status for one in exchanges if one.path in paths}
    return (", ".join(f"{path}: {status}" for path, status in found.items()), None) if found else None


def start_version(exchanges: Exchanges) -> Finding | None:
    """Whether SyncTimestamp names the row version of the first row itself."""
    for one in _of(exchanges, "read/sync/Sync/SyncTimestamp"):
        if one.status != 200:
            continue
        found = [int(row["TimeStampAsBigInt"]) for row in one.rows if row.get("TimeStampAsBigInt")]
        name = one.options.get("endPoint", "").strip("'")
        feeds = [pages for path, pages in _feeds(exchanges).items() if path.endswith(f"/{name}")]
        rows = [row for pages in feeds for page in pages for row in page.rows]
        if not found or not rows:
            continue
        first = min(int(row["Timestamp"]) for row in rows)
        return f"{name}: {found[0]}, first row {first}", found[0] == first
    return None


def nulls(exchanges: Exchanges) -> Finding | None:
    never = ("AmountDC", "AmountFC", "Created", "Division", "LineType", "Modified", "Type")
    rows = [row for one in exchanges if one.path.endswith("TransactionLines") for row in one.rows]
    if not rows:
        return None
    found = sorted({name for row in rows for name in never if name in row and row[name] is None})
    return (f"null in {', '.join(found)}" if found else f"no null in {len(rows)} rows"), not found


QUESTIONS = (
    Question("Whose clock do the site's servers show?", "Amsterdam's", clock),
    Question("How many calls a minute and a day are allowed?", "60 and 5,000", limits),
    Question("When does the day of the quota end?", "00:00 UTC", day_ends),
    Question("Do the rows of feeds come in the order of their row version?", "yes", order),
    Question("What is the skip token of a feed?", "a row version and L", skip_token),
    Question("Is the ID of a header in a feed the entity's own key?", "not known", feed_keys),
    Question("Which feeds have VAT lines, LineNumber 9999?", "those of sales invoices and of the ledger", vat_lines),
    Question(
        "Does SyncTimestamp name the first row's own version?", "yes, so reading begins one before", start_version
    ),
    Question("Are the properties null that $metadata says never are?", "no", nulls),
    Question("Which endpoints that are not documented answer?", "not known", undocumented),
    Question("What is refused, and in which words?", "missing scopes and modules, with 403", refused),
)
