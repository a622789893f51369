"""Ways to spoil the loaded tables, each with the check that must notice."""

from __future__ import annotations

from typing import NamedTuple


class Break(NamedTuple):
    """One way to spoil the loaded tables."""

    name: str
    check: str
    """Name of the check that must fail."""
    sql: str


_SALE = "select entry_id from exact_online.transaction_lines where type = 20 order by entry_id limit 1"

BREAKS = (
    Break(
        "the header line of a sale is missing",
        "entries_balance",
        f"delete from exact_online.transaction_lines where line_number = 0 and entry_id in ({_SALE})",
    ),
    Break(
        "an amount is a cent higher",
        "entries_balance",
        "update exact_online.transaction_lines set amount_dc = amount_dc + 0.01 "
        "where id = (select min(id) from exact_online.transaction_lines where type = 40)",
    ),
    Break(
        "a sale is there twice",
        "ledger_equals_reporting_balance",
        "insert into exact_online.transaction_lines select * replace (id || '-2' as id, entry_id || '-2' as entry_id) "
        f"from exact_online.transaction_lines where entry_id in ({_SALE})",
    ),
    Break(
        "a whole entry is missing",
        "line_counts_equal_reporting_balance",
        f"delete from exact_online.transaction_lines where entry_id in ({_SALE})",
    ),
    Break(
        "a line is in another period than its entry",
        "periods_balance",
        "update exact_online.transaction_lines set financial_period = case financial_period when 1 then 2 else 1 end "
        "where id = (select min(id) from exact_online.transaction_lines where type = 30)",
    ),
    Break(
        "an entry is in a period that does not exist",
        "periods_defined",
        f"update exact_online.transaction_lines set financial_period = 17 where entry_id in ({_SALE})",
    ),
    Break(
        "the closing of a year counts as result",
        "entry_types_equal_reporting_balance",
        "update exact_online.transaction_lines set type = 90 where type = 310",
    ),
    Break(
        "an account of the chart is missing",
        "gl_accounts_known",
        "delete from exact_online.gl_accounts "
        "where id = (select min(gl_account) from exact_online.transaction_lines where type = 20)",
    ),
    Break(
        "an account belongs to no statement",
        "balance_sheet_balances",
        "update exact_online.gl_accounts set balance_type = null "
        "where id = (select min(id) from exact_online.gl_accounts where type = 22)",
    ),
    Break(
        "the deletion of a payment term was lost",
        "open_items_equal_terms",
        "insert into exact_online.payment_terms select * replace (id || '-2' as id, 'gone' as transaction_id) "
        "from exact_online.payment_terms where status = 20 order by id limit 1",
    ),
    Break(
        "a receipt is on another customer",
        "outstanding_equals_exact",
        "update exact_online.transaction_lines set account = 'somebody else' where id = (select min(lines.id) "
        "from exact_online.transaction_lines as lines join exact_online.gl_accounts as accounts "
        "on accounts.id = lines.gl_account and accounts.division = lines.division "
        "where accounts.type = 20 and lines.type = 40)",
    ),
    Break(
        "a year before this one is missing",
        "opening_balances_equal_exact",
        "delete from exact_online.transaction_lines where financial_year = "
        "(select min(financial_year) from exact_online.transaction_lines)",
    ),
    Break(
        "an open entry passes for a processed one",
        "ledger_equals_reporting_balance",
        "update exact_online.transaction_lines set status = 50 where status = 20",
    ),
    Break(
        "an amount of cash is a cent higher",
        "cash_flow_direct_adds_up",
        "update exact_online.transaction_lines set amount_dc = amount_dc + 0.01 where id = (select min(lines.id) "
        "from exact_online.transaction_lines as lines join exact_online.gl_accounts as accounts "
        "on accounts.id = lines.gl_account and accounts.division = lines.division where accounts.type = 12)",
    ),
    Break(
        "a cost center is there twice",
        "dimensions_equal_ledger",
        "insert into exact_online.cost_centers select * replace (id || '-2' as id) from exact_online.cost_centers",
    ),
    Break(
        "a line in pounds is in another period than its entry",
        "consolidation_adds_up",
        "update exact_online.transaction_lines set financial_period = case financial_period when 1 then 2 else 1 end "
        "where id = (select min(id) from exact_online.transaction_lines where type = 30 and division = "
        "(select min(division) from exact_online.divisions where currency = 'GBP'))",
    ),
)  # fmt: skip
