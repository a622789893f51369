"""What an endpoint demands of a query and what it refuses: facts per endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from exact_online_sandbox import errors
from exact_online_sandbox.entities import DELETED
from exact_online_sandbox.errors import bad_request
from exact_online_sandbox.reference import Endpoint

# "Only the following filters are supported", as the reference prints it on the pages of the bulk endpoints. The ones
# not listed have no closed list; the mandatory set (the reference's filter column) applies to them.
_BULK_FILTERS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        path: frozenset(fields.split())
        for path, fields in {
            "bulk/CRM/Addresses": "Account Contact ID Main Type Warehouse",
            "bulk/CRM/Contacts": "Account ID IdentificationDocument IdentificationUser Person",
            "bulk/CRM/Quotations": (
                "DeliveryAccount DeliveryAccountContact DeliveryAddress Document InvoiceAccount InvoiceAccountContact"
                " Opportunity OrderAccount OrderAccountContact Project QuotationID QuotationNumber QuotationDate"
                " SelectionCode Status VersionNumber"
            ),
            "bulk/CRM/QuotationLines": "Item LineNumber QuotationID QuotationNumber VersionNumber VATCode",
            "bulk/Cashflow/Receivables": (
                "Account Document EndDate EndToEndID EntryDate EntryID GLAccount ID InvoiceDate InvoiceNumber Source"
                " Status TransactionID TransactionType"
            ),
            "bulk/Cashflow/Payments": (
                "Account AccountBankAccountID AccountContact BankAccountID Document EndDate EntryDate EntryID GLAccount"
                " ID InvoiceDate InvoiceNumber Source Status TransactionID TransactionType"
            ),
            "bulk/Documents/Documents": (
                "Account Category Contact Created Creator Division DocumentDate DocumentFolder"
                " FinancialTransactionEntryID HID ID Modified Opportunity Project SalesInvoiceNumber Subject Type"
            ),
            "bulk/Documents/DocumentAttachments": "Document ID",
            "bulk/Financial/GLAccounts": (
                "AssimilatedVATBox BelcotaxType Code Costcenter Costunit Created Creator ID Modified Modifier"
                " PrivateGLAccount SearchCode Type VATNonDeductibleGLAccount YearEndCostGLAccount"
                " YearEndReflectionGLAccount"
            ),
            "bulk/Financial/GLClassifications": "Code ID Name Parent TaxonomyNamespace Type",
            "bulk/Logistics/SalesItemPrices": "Account EndDate ID Item Price Quantity StartDate Unit",
            "bulk/Project/ProjectWBS": "DefaultItem ID Modified Parent Project ProjectTerm Type",
            "bulk/SalesOrder/GoodsDeliveries": "Document EntryID Warehouse",
            "bulk/SalesOrder/GoodsDeliveryLines": "EntryID ID Item",
        }.items()
    }
)

# Standard endpoints seen to demand a $select (picqer/exact-php-client README and issues #34, #62, #315, #556). The
# reference has no such mark on standard endpoints, so others may exist.
_STANDARD_SELECT = frozenset(
    {
        "cashflow/DirectDebitMandates",
        "generaljournalentry/GeneralJournalEntries",
        "logistics/SalesItemPrices",
        "purchaseentry/PurchaseEntries",
        "salesorder/GoodsDeliveries",
    }
)


def check_select(endpoint: Endpoint, select: tuple[str, ...] | None, top: int | None) -> None:
    """Refuse a list without the ``$select`` that the endpoint demands, or with the ``*`` it does not take.

    Feeds demand a ``$select`` or a ``$top``: seen of sync/Project/TimeCostTransactions (alfa1-group/ExactOnline), taken
    to go for all.

    Raises:
        ApiError: 400. The text for a refused ``*`` is not known, nor that of a feed; the one for a missing ``$select``
            is used.
    """
    needed = endpoint.select == "required" or endpoint.path in _STANDARD_SELECT
    enough = top is not None if endpoint.kind == "sync" else top == 1
    if (needed or endpoint.kind == "sync") and select is None and not enough:
        raise bad_request(errors.SELECT_NEEDED)
    if endpoint.select == "no *" and select is not None and "*" in select:
        raise bad_request(errors.SELECT_NEEDED)


def check_filter(endpoint: Endpoint, names: tuple[str, ...]) -> None:
    """Refuse fields that the endpoint does not filter on, and lists without a mandatory filter.

    Args:
        endpoint: what is asked.
        names: properties that the filter names; empty without a filter.

    Raises:
        ApiError: 400 with Exact's text.
    """
    allowed: frozenset[str] | None = None
    if endpoint.kind == "sync":
        allowed = frozenset({"Timestamp", "EntityType"} if endpoint.path == DELETED else {"Timestamp"})
    elif endpoint.kind == "bulk":
        allowed = _BULK_FILTERS.get(endpoint.path)
    if allowed is not None:
        refused = [name for name in dict.fromkeys(names) if name not in allowed]
        if refused:
            raise bad_request(errors.filter_refused(refused))
        return
    mandatory = endpoint.filterable
    if mandatory and endpoint.kind in ("standard", "bulk") and not set(mandatory).intersection(names):
        raise bad_request(errors.mandatory_filter(mandatory))


def check_paging(endpoint: Endpoint, *, skip: bool, orderby: bool, count: bool) -> None:
    """Refuse options that an endpoint does not take.

    ``$skip`` is not supported on endpoints released after 1 March 2017 (all sync ones, and those added lately) and
    fails on bulk; ``$orderby`` and counting are documented for normal endpoints only, so sync and bulk refuse them
    here. Which text Exact has for it is not known.

    Raises:
        ApiError: 400.
    """
    narrow = endpoint.kind in ("sync", "bulk")
    if (skip and (narrow or endpoint.status == "new")) or ((orderby or count) and narrow):
        raise bad_request(errors.SYNTAX)
