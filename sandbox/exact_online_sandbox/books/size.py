"""How much bookkeeping to invent per division."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Size:
    """Row counts per division.

    The documents come first: what they leave of ``transaction_lines`` is filled with general journal entries, so that
    the ledger has exactly that many rows as long as the documents need fewer (about 90 % in the presets).
    """

    transaction_lines: int
    """Rows of financialtransaction/TransactionLines, header rows (LineNumber 0) included."""
    customers: int
    suppliers: int
    items: int
    sales_orders: int
    """Each leads to none, one or two sales invoices."""
    direct_invoices: int
    """Sales invoices without an order, some of them credit notes."""
    purchase_orders: int
    purchase_entries: int
    """Invoices for costs, booked without an order."""
    sales_entries: int
    projects: int
    documents: int

    def __post_init__(self) -> None:
        """Refuse counts the books cannot be kept with.

        Raises:
            ValueError: a count is negative, or there are no customers, suppliers or items.
        """
        for name in self.__slots__:
            least = 1 if name in ("customers", "suppliers", "items") else 0
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, not {getattr(self, name)}")

    @classmethod
    def of_transaction_lines(cls, count: int) -> Size:
        """Balanced counts for a ledger of ``count`` transaction lines."""
        return cls(
            transaction_lines=count,
            customers=max(4, round(0.8 * count**0.62)),
            suppliers=max(3, round(0.3 * count**0.62)),
            items=max(6, round(count**0.6)),
            sales_orders=max(2, round(count * 0.068)),
            direct_invoices=round(count * 0.012),
            purchase_orders=max(1, round(count * 0.028)),
            purchase_entries=max(1, round(count * 0.023)),
            sales_entries=round(count * 0.005),
            projects=max(1, round(0.1 * count**0.5)),
            documents=max(2, round(0.3 * count**0.5)),
        )


SIZES = {
    "tiny": Size.of_transaction_lines(30),
    "small": Size.of_transaction_lines(1_500),
    "medium": Size.of_transaction_lines(50_000),
    "large": Size.of_transaction_lines(1_000_000),
}


def size_of(size: Size | str) -> Size:
    """The size with this name, or the size itself; a string of digits is a count of transaction lines.

    Raises:
        ValueError: no size has that name.
    """
    if isinstance(size, Size):
        return size
    if size in SIZES:
        return SIZES[size]
    if size.isdigit() and int(size) > 0:
        return Size.of_transaction_lines(int(size))
    raise ValueError(f"size must be one of {', '.join(SIZES)} or a count of transaction lines, not {size!r}")
