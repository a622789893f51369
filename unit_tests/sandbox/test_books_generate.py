"""Generation is reproducible and of the size asked for."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import pytest

from exact_online_sandbox.books import SIZES, Size, generate, size_of
from exact_online_sandbox.entities import entities
from exact_online_sandbox.store import Store
from unit_tests.sandbox.books_truth import LINES, UNTIL, books, codes, fill

Dump = dict[tuple[int, str], list[tuple[object, ...]]]


def _dump(store: Store) -> Dump:
    found: Dump = {(code, "division"): [tuple(store.division(code).items())] for code in store.division_codes()}
    for code in store.division_codes():
        for entity in entities():
            kept = store.select(code, entity, by="version")
            if kept:
                found[code, entity] = [(row.key, row.version, row.body) for row in kept]
    return found


def test_the_same_seed_gives_the_same_rows_and_row_versions() -> None:
    assert _dump(fill(seed=5, size="200")) == _dump(fill(seed=5, size="200"))


def test_another_seed_gives_other_rows() -> None:
    one, other = _dump(fill(seed=5, size="tiny")), _dump(fill(seed=6, size="tiny"))

    assert set(one) == set(other)
    assert {entity for division, entity in one if one[division, entity] == other[division, entity]} <= {
        "general/Currencies"
    }


def test_a_division_does_not_depend_on_the_number_of_divisions() -> None:
    alone, among = fill(size="tiny", divisions=1), fill(size="tiny", divisions=3)
    code = min(alone.division_codes())

    assert list(alone.rows(code, LINES)) == list(among.rows(code, LINES))


def test_codes_are_returned_and_look_like_real_ones() -> None:
    store = Store()
    found = generate(store, seed=1, divisions=5, size="tiny", until=UNTIL)

    assert sorted(found) == store.division_codes()
    assert len(set(found)) == 5
    assert all(6 <= len(str(code)) <= 7 for code in found)


def test_small_books_have_exactly_the_transaction_lines_asked_for() -> None:
    for code in codes():
        assert books().count(code, LINES) == 1500


def test_tiny_books_have_about_thirty_transaction_lines_and_something_of_everything() -> None:
    store = fill(size="tiny")
    for code in store.division_codes():
        assert 20 <= store.count(code, LINES) <= 45
        for entity in ("salesinvoice/SalesInvoices", "purchaseorder/PurchaseOrders", "salesorder/SalesOrderLines"):
            assert store.count(code, entity)


def test_counts_may_be_given() -> None:
    size = dataclasses.replace(SIZES["tiny"], customers=17, suppliers=5, items=9, sales_orders=0, direct_invoices=0)
    store = Store()
    (code,) = generate(store, seed=1, divisions=1, size=size, until=UNTIL)

    assert store.count(code, "crm/Accounts") == 22
    assert store.count(code, "logistics/Items") == 9
    assert store.count(code, "salesinvoice/SalesInvoices") == 0


def test_sizes_grow_with_their_transaction_lines() -> None:
    counts = [size.transaction_lines for size in SIZES.values()]

    assert counts == [30, 1_500, 50_000, 1_000_000]
    assert size_of("2500") == Size.of_transaction_lines(2500)
    assert size_of(SIZES["small"]) is SIZES["small"]


@pytest.mark.parametrize("wrong", ["huge", "-5", "0", ""])
def test_an_unknown_size_is_refused_with_the_known_ones(wrong: str) -> None:
    with pytest.raises(ValueError, match="tiny, small, medium, large"):
        size_of(wrong)


@pytest.mark.parametrize(("name", "value"), [("customers", 0), ("items", 0), ("sales_orders", -1)])
def test_counts_the_books_cannot_be_kept_with_are_refused(name: str, value: int) -> None:
    with pytest.raises(ValueError, match=name):
        dataclasses.replace(SIZES["tiny"], **{name: value})


def test_any_end_will_do() -> None:
    for days in (0, 40, 130, 222, 290, 366):
        store = fill(size="tiny", divisions=1, until=UNTIL - timedelta(days=days))
        assert store.count(min(store.division_codes()), LINES)
