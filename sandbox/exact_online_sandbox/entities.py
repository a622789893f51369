"""Entities: what is stored once, however many endpoints show it.

An entity is named by the path of its standard endpoint, or, where it has none, by the path it has. Standard, bulk and
sync endpoints of one entity are views of the same rows (see views.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from exact_online_sandbox.reference import Endpoint, endpoints

DIVISIONS = "system/Divisions"
DELETED = "sync/Deleted"

# Endpoints whose entity is not the standard endpoint of the same name in the same service.
_ENTITY_OF = {
    "bulk/Financial/TransactionLines": "financialtransaction/TransactionLines",
    "bulk/Project/ProjectWBS": "sync/Project/ProjectWBS",
    "sync/CRM/QuotationHeaders": "crm/Quotations",
    "sync/Financial/PurchaseEntries": "purchaseentry/PurchaseEntries",
    "sync/Financial/SalesEntries": "salesentry/SalesEntries",
    "sync/Financial/TransactionLines": "financialtransaction/TransactionLines",
    "sync/SalesOrder/SalesOrderHeaders": "salesorder/SalesOrders",
    "hrm/Divisions": DIVISIONS,
    "system/AllDivisions": DIVISIONS,
}

MIXED_FEEDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "sync/SalesInvoice/SalesInvoices": ("salesinvoice/SalesInvoices", "salesinvoice/SalesInvoiceLines"),
        "sync/PurchaseOrder/PurchaseOrders": ("purchaseorder/PurchaseOrders", "purchaseorder/PurchaseOrderLines"),
        "sync/Financial/SalesEntries": ("salesentry/SalesEntries", "salesentry/SalesEntryLines"),
        "sync/Financial/PurchaseEntries": ("purchaseentry/PurchaseEntries", "purchaseentry/PurchaseEntryLines"),
    }
)
"""Feeds that show two entities in one list: headers (LineNumber 0) and lines that repeat their header's properties."""

# Numbers of sync/Deleted.EntityType, by feed. 30, 31, 53: by elimination from the names in the reference.
_DELETION_TYPES = {
    "sync/Financial/TransactionLines": 1,
    "sync/CRM/Accounts": 2,
    "sync/CRM/Addresses": 3,
    "sync/Documents/DocumentAttachments": 4,
    "sync/CRM/Contacts": 5,
    "sync/Documents/Documents": 6,
    "sync/Financial/GLAccounts": 7,
    "sync/Logistics/SalesItemPrices": 8,
    "sync/Logistics/Items": 9,
    "sync/Cashflow/PaymentTerms": 10,
    "sync/SalesInvoice/SalesInvoices": 13,
    "sync/Project/TimeCostTransactions": 14,
    "sync/Inventory/StockPositions": 15,
    "sync/SalesOrder/GoodsDeliveries": 16,
    "sync/SalesOrder/GoodsDeliveryLines": 17,
    "sync/Financial/GLClassifications": 18,
    "sync/Inventory/ItemWarehouses": 19,
    "sync/Inventory/StorageLocationStockPositions": 20,
    "sync/Project/Projects": 21,
    "sync/PurchaseOrder/PurchaseOrders": 22,
    "sync/Subscription/Subscriptions": 23,
    "sync/Subscription/SubscriptionLines": 24,
    "sync/Project/ProjectWBS": 25,
    "sync/Project/ProjectPlanning": 26,
    "sync/HRM/LeaveAbsenceHoursByDay": 27,
    "sync/Inventory/SerialBatchNumbers": 28,
    "sync/Inventory/StockSerialBatchNumbers": 29,
    "sync/Logistics/SupplierItem": 30,
    "sync/Sales/SalesPriceListVolumeDiscounts": 31,
    "sync/SalesOrder/SalesOrderHeaders": 32,
    "sync/SalesOrder/SalesOrderLines": 33,
    "sync/CRM/QuotationHeaders": 34,
    "sync/CRM/QuotationLines": 35,
    "sync/Manufacturing/ShopOrders": 36,
    "sync/Manufacturing/ShopOrderMaterialPlans": 37,
    "sync/Manufacturing/ShopOrderRoutingStepPlans": 38,
    "sync/HRM/Schedules": 39,
    "sync/HRM/ScheduleEntries": 40,
    "sync/Inventory/ItemStorageLocations": 41,
    "sync/Payroll/Employees": 42,
    "sync/Payroll/Employments": 43,
    "sync/Payroll/EmploymentContracts": 44,
    "sync/Payroll/EmploymentOrganizations": 45,
    "sync/Payroll/EmploymentCLAs": 46,
    "sync/Payroll/EmploymentSalaries": 47,
    "sync/Payroll/BankAccounts": 48,
    "sync/Payroll/EmploymentTaxAuthoritiesGeneral": 49,
    "sync/Manufacturing/ShopOrderPurchasePlanning": 50,
    "sync/Manufacturing/ShopOrderSubOrders": 51,
    "sync/Manufacturing/MaterialIssues": 53,
    "sync/Manufacturing/BillOfMaterialMaterials": 54,
    "sync/Manufacturing/BillOfMaterialVersions": 55,
    "sync/HRM/LeaveRegistrations": 56,
    "sync/HRM/LeaveBuildUpRegistrations": 57,
    "sync/HRM/AbsenceRegistrationTransactions": 58,
    "sync/HRM/AbsenceRegistrations": 59,
}

# Lines whose reference to their header is not named after the header's key or the header itself.
_FOREIGN_KEYS = {
    ("purchase/PurchaseInvoices", "purchase/PurchaseInvoiceLines"): "InvoiceID",
    ("purchaseorder/PurchaseReturns", "purchaseorder/PurchaseReturnLines"): "EntryID",
    ("documents/Documents", "documents/DocumentAttachments"): "Document",
}

SHARED_VALUES: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {
        "cashflow/BankStatementUploadAttachments": (
            "cashflow/BankStatementUploads",
            "BankStatementDocument",
            "Document",
        ),
    }
)
"""Rows that name no key of the row they belong to, but share a value with it: its entity, its property, their own."""

VAT_LINE = 9999
"""``LineNumber`` of the line with an invoice's VAT."""

# Rows that only the feed shows: the VAT lines of invoices (forums.invantive.com topic 1855).
_FEED_ONLY = {"salesinvoice/SalesInvoiceLines": ("LineNumber", VAT_LINE)}

# Numbers and flags that are never null. Source: Exact's $metadata documents of 2025 (alfa1-group/ExactOnline,
# resources/edmx). The codes of LineType and Source are not known; here they are 0.
_NEVER_NULL = {
    "financialtransaction/TransactionLines": ("AmountDC", "AmountFC", "LineType", "Type"),
    "sync/Cashflow/PaymentTerms": (
        "AmountDC",
        "AmountDiscountDC",
        "AmountDiscountFC",
        "AmountFC",
        "IsFullyPaid",
        "LineType",
        "Source",
        "TransactionAmountDC",
        "TransactionAmountFC",
        "TransactionIsReversal",
    ),
}


# One column under two names: the list of purchase order lines has the code of the cost center in CostCenter, the feed
# has it in CostCenterCode (and the GUID, which the feed's view looks up, in CostCenter).
_SYNONYMS = {
    "purchaseorder/PurchaseOrderLines": {"CostCenter": "CostCenterCode", "CostUnit": "CostUnitCode"},
}


@dataclass(frozen=True, slots=True)
class Entity:
    """One kind of row, stored once per division."""

    name: str
    key: tuple[str, ...]
    record_id: str
    """The property that identifies a row; the first one of a composite key."""
    columns: Mapping[str, str]
    """Edm type by property: all properties of all its views, row version excepted."""
    never_null: tuple[str, ...]
    """Columns of numbers and flags that are 0 or false where nothing else is given."""
    synonyms: Mapping[str, str]
    """Further names of columns, as they appear in other views."""
    deletion_type: int | None
    """Its number in sync/Deleted, None when its deletions are not logged."""
    own_feed_id: bool
    """Whether its feed has an ``ID`` besides the named key (``OrderID``, ``InvoiceID`` ...)."""
    feed_only: tuple[str, int] | None
    """Column and value of rows that appear in the feed, and in no list."""
    header: str | None
    """For lines: the entity of their header."""
    header_key: str | None
    """For lines: the property that holds the header's key."""
    lines: tuple[str, ...]
    """For headers: the entities of their lines."""
    shares_version: bool
    """Whether a change of a header or of one of its lines gives all of them new row versions."""
    modifies_header: bool
    """For lines: whether their change also shows in the header's ``Modified``."""


@cache
def entity_of(path: str) -> str:
    """Name the entity that the endpoint at ``path`` shows (the header's, for a feed that mixes headers and lines)."""
    if path in _ENTITY_OF:
        return _ENTITY_OF[path]
    if path in MIXED_FEEDS:
        return MIXED_FEEDS[path][0]
    endpoint = endpoints()[path]
    if endpoint.kind in ("sync", "bulk"):
        standard = _standard_by_lower().get(path.partition("/")[2].lower())
        return standard or path
    return path


@cache
def _standard_by_lower() -> dict[str, str]:
    return {path.lower(): path for path, e in endpoints().items() if e.kind == "standard" and e.status != "removed"}


def function_entity(endpoint: Endpoint) -> str:
    """The entity whose rows an endpoint shows; a function shows those of the list it narrows, where there is one.

    ``read/financial/ReceivablesListByAccount`` narrows ``read/financial/ReceivablesList``.
    """
    if endpoint.kind != "function":
        return entity_of(endpoint.path)
    lists = [
        path
        for path, other in endpoints().items()
        if other.kind != "function" and endpoint.path.startswith(path + "By") and other.status != "removed"
    ]
    return max(lists, key=len, default=endpoint.path)


def singular(name: str) -> str:
    """The singular of an entity's English plural name."""
    if name.endswith("ies"):
        return name[:-3] + "y"
    if name.endswith("sses"):
        return name[:-2]
    return name[:-1] if name.endswith("s") and not name.endswith("ss") else name


def foreign_key(header: Endpoint, lines: Endpoint) -> str | None:
    """Find the property of ``lines`` that holds the key of ``header``; None when there is none."""
    explicit = _FOREIGN_KEYS.get((header.path, lines.path))
    if explicit is not None:
        return explicit
    if len(header.key) != 1:
        return None
    key = header.key[0]
    if key not in ("ID", "Code") and key in lines.properties:
        return key
    one = singular(header.name).lower()
    return next((name for name in lines.properties if name.lower() in (one + "id", one)), None)


@cache
def _headers() -> Mapping[str, tuple[str, str]]:
    """Header entity and foreign key, by line entity."""
    found: dict[str, tuple[str, str]] = {lines: (header, key) for (header, lines), key in _FOREIGN_KEYS.items()}
    reference = endpoints()
    for endpoint in reference.values():
        if endpoint.kind != "standard" or endpoint.status in ("removed", "undocumented"):
            continue
        for prop in endpoint.properties.values():
            target = prop.target or ""
            path = f"{endpoint.path.rpartition('/')[0]}/{target}"
            if not (prop.is_navigation and target.endswith("Lines") and path in reference):
                continue
            key = foreign_key(endpoint, reference[path])
            if key is not None:
                found.setdefault(path, (endpoint.path, key))
    return found


@cache
def entities() -> Mapping[str, Entity]:
    """Return every entity by name."""
    reference = endpoints()
    views: dict[str, list[Endpoint]] = {}
    for path, endpoint in reference.items():
        entity = entity_of(path)
        if endpoint.status == "removed" and entity != path:
            continue
        views.setdefault(entity, []).append(endpoint)
        if path in MIXED_FEEDS:
            views.setdefault(MIXED_FEEDS[path][1], []).append(endpoint)
    return MappingProxyType({name: _entity(name, shown) for name, shown in views.items()})


def _entity(name: str, shown: list[Endpoint]) -> Entity:
    reference = endpoints()
    own = reference[name]
    ordered = [own, *(e for e in shown if e.path != name)]
    synonyms = _SYNONYMS.get(name, {})
    columns: dict[str, str] = {}
    for endpoint in ordered:
        for prop in endpoint.properties.values():
            if prop.is_navigation or prop.name in synonyms:
                continue
            if endpoint.kind == "sync" and prop.name == "Timestamp" and name != DELETED:
                continue
            columns.setdefault(prop.name, prop.type)
    feeds = [e for e in shown if e.kind == "sync" and e.status != "removed"]
    if own.kind == "sync" and own.record_id is not None:
        key: tuple[str, ...] = (own.record_id,)
    else:
        key = own.key
    header, header_key = _headers().get(name, (None, None))
    lines = tuple(line for line, (head, _) in _headers().items() if head == name)
    mixed_headers = {head for head, _ in MIXED_FEEDS.values()}
    shares_version = name in mixed_headers or any(name == line for _, line in MIXED_FEEDS.values())
    own_feed_id = own.kind != "sync" and "ID" not in key and any("ID" in feed.properties for feed in feeds)
    return Entity(
        name=name,
        key=key,
        record_id=key[0] if key else "",
        columns=MappingProxyType(columns),
        never_null=_NEVER_NULL.get(name, ()),
        synonyms=MappingProxyType(synonyms),
        deletion_type=next((_DELETION_TYPES[f.path] for f in feeds if f.path in _DELETION_TYPES), None),
        own_feed_id=own_feed_id,
        feed_only=_FEED_ONLY.get(name),
        header=header,
        header_key=header_key,
        lines=lines,
        shares_version=shares_version,
        modifies_header=header is not None and (shares_version or ("Modified" not in own.properties and not feeds)),
    )
