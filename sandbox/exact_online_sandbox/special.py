"""Endpoints whose rows depend on who asks, or are made on the spot: Me, the division lists, SyncTimestamp."""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import MappingProxyType
from typing import Any
from uuid import UUID

from exact_online_sandbox import errors
from exact_online_sandbox.clock import Clock
from exact_online_sandbox.entities import DIVISIONS, MIXED_FEEDS, entity_of
from exact_online_sandbox.errors import bad_request, not_found
from exact_online_sandbox.literals import datetime_literal
from exact_online_sandbox.oauth import Identity
from exact_online_sandbox.reference import Endpoint
from exact_online_sandbox.rows import Values
from exact_online_sandbox.store import Store
from exact_online_sandbox.tokens import parse_key, parse_literal
from exact_online_sandbox.views import Listing, Page, View
from exact_online_sandbox.wallclock import naive_from_ms

ME = "current/Me"
SYNC_TIMESTAMP = "read/sync/Sync/SyncTimestamp"
DIVISION_LISTS = frozenset({DIVISIONS, "hrm/Divisions", "system/AllDivisions"})

# Exact's list of accepted values of endPoint, and the feeds they stand for.
_SYNC_TIMESTAMP_FEEDS = MappingProxyType(
    {
        path.rpartition("/")[2]: path
        for path in (
            "sync/CRM/QuotationHeaders",
            "sync/CRM/QuotationLines",
            "sync/Financial/TransactionLines",
            "sync/Inventory/ItemStorageLocations",
            "sync/Manufacturing/ShopOrders",
            "sync/Manufacturing/ShopOrderMaterialPlans",
            "sync/Manufacturing/ShopOrderRoutingStepPlans",
            "sync/Manufacturing/ShopOrderPurchasePlanning",
            "sync/Manufacturing/ShopOrderSubOrders",
            "sync/Manufacturing/MaterialIssues",
            "sync/Manufacturing/BillOfMaterialVersions",
            "sync/Manufacturing/BillOfMaterialMaterials",
            "sync/PurchaseOrder/PurchaseOrders",
            "sync/Project/Projects",
            "sync/Project/ProjectPlanning",
            "sync/Project/ProjectWBS",
            "sync/Project/TimeCostTransactions",
            "sync/SalesInvoice/SalesInvoices",
            "sync/SalesOrder/GoodsDeliveries",
            "sync/SalesOrder/GoodsDeliveryLines",
            "sync/SalesOrder/SalesOrderHeaders",
            "sync/SalesOrder/SalesOrderLines",
            "sync/Subscription/Subscriptions",
            "sync/Subscription/SubscriptionLines",
        )
    }
)
_TEXT = re.compile(r"'((?:[^']|'')*)'\Z")


class MemoryView(View):
    """Rows made on the spot, few enough to be handled in memory; in the order given."""

    def make(self, division: int) -> list[Values]:
        """All rows as seen from that division."""
        raise not_found(self.endpoint.entity_set)

    def every(self, listing: Listing) -> Iterator[Values]:
        for values in self.make(listing.division):
            if (listing.filter is None or listing.filter.matches(values)) and (
                listing.test is None or listing.test(values)
            ):
                yield values

    def page(self, listing: Listing) -> Page:
        rows = list(self.every(listing))
        for name, descending in reversed(listing.orderby):
            column = self.find(name)
            if column is None:
                raise bad_request(errors.unknown_property(name, self.type_name))
            get = column.get
            rows.sort(key=lambda values: (get(values) is not None, get(values)), reverse=descending)
        start = listing.skip
        if listing.token is not None:
            # Rows keep their order from one call to the next, so the last key tells where to go on.
            name, type_ = self.key_types[0]
            last = parse_literal(listing.token, type_)
            keys = [values[self.slots[name]] for values in rows]
            start = keys.index(last) + 1 if last in keys else 0
        end = start + listing.limit
        token = self.key_literal(rows[end - 1]) if start < end < len(rows) else None
        return Page(rows[start:end], token)

    def one(self, division: int, key: str) -> Values:
        wanted = parse_key(key, self.key_types)
        for values in self.make(division):
            if values[self.slots[self.key_types[0][0]]] == wanted:
                return values
        raise not_found(self.endpoint.entity_set)


class DivisionListView(MemoryView):
    """system/Divisions, system/AllDivisions and hrm/Divisions: divisions the user ticked in the consent screen.

    system/Divisions shows them across licences, the others of the licence (``Customer``) of the division asked.
    """

    def __init__(self, endpoint: Endpoint, store: Store, identity: Identity) -> None:
        self._codec = store.codec(DIVISIONS)
        slots = dict(self._codec.index)
        # The older list has other names for two of the properties.
        slots["HID"], slots["Main"] = slots["Hid"], slots["IsMainDivision"]
        super().__init__(endpoint, slots, store, self._codec.entity.columns)
        self._identity = identity

    def make(self, division: int) -> list[Values]:
        user = self._identity.user
        codes = [code for code in self.store.division_codes() if code in self._identity.divisions]
        if user.divisions is not None:
            codes = [code for code in codes if code in user.divisions]
        rows = [self.store.division(code) for code in codes]
        if self.endpoint.path != DIVISIONS and division in self.store.division_codes():
            licence = self.store.division(division)["Customer"]
            rows = [row for row in rows if row["Customer"] == licence]
        current = current_division(self.store, user.current_division)
        return [self._codec.encode({**row, "Current": row["Code"] == current}) for row in rows]


class MeView(MemoryView):
    """current/Me: the user of the access token, with the server's time and its offset from UTC."""

    def __init__(self, endpoint: Endpoint, store: Store, identity: Identity, clock: Clock) -> None:
        self._codec = store.codec(ME)
        super().__init__(endpoint, self._codec.index, store, self._codec.entity.columns)
        self._identity = identity
        self._clock = clock

    def make(self, division: int) -> list[Values]:
        user, now = self._identity.user, self._clock.now_ms()
        offset = self.store.wall.offset_ms(now)
        local = naive_from_ms(now + offset)
        row: dict[str, Any] = {
            "UserID": user.id,
            "UserName": user.name,
            "FullName": user.name.replace(".", " ").title(),
            "FirstName": user.name.partition(".")[0].title(),
            "LastName": user.name.rpartition(".")[2].title(),
            "Email": f"{user.name}@example.com",
            "EmployeeID": str(UUID(int=0)),
            "CustomerCode": "1".rjust(18),
            "DivisionCustomerCode": "1".rjust(18),
            "Gender": "O",
            "Language": "NL",
            "LanguageCode": "nl-NL",
            "IsClientUser": False,
            "IsEmployeeSelfServiceUser": False,
            "IsMyFirmLiteUser": False,
            "IsMyFirmPortalUser": False,
            "IsOEIMigrationMandatory": False,
            "IsStarterUser": False,
            "Legislation": 1,
            "CurrentDivision": current_division(self.store, user.current_division),
            "ServerTime": local.isoformat(timespec="seconds"),
            "ServerUtcOffset": offset / 1000,
        }
        return [self._codec.encode(row)]


class SyncTimestampView(MemoryView):
    """SyncTimestamp: the row version from which on a feed holds everything changed since a moment.

    The lowest row version among rows with ``Modified`` from that moment on: starting there misses none of them. An
    endpoint that is not in Exact's list, or no such row, gives no row (what Exact does is not known).
    """

    def __init__(self, endpoint: Endpoint, store: Store, parameters: dict[str, str]) -> None:
        self._codec = store.codec(SYNC_TIMESTAMP)
        super().__init__(endpoint, self._codec.index, store, self._codec.entity.columns)
        modified, name = parameters.get("modified", ""), _TEXT.match(parameters.get("endPoint", ""))
        if name is None or not (modified.startswith("datetime'") and modified.endswith("'")):
            raise bad_request(errors.SYNTAX)
        self._modified = datetime_literal(modified, store.wall)
        self._name = name.group(1)

    def make(self, division: int) -> list[Values]:
        feed = _SYNC_TIMESTAMP_FEEDS.get(self._name)
        if feed is None:
            return []
        found = []
        for entity in MIXED_FEEDS.get(feed, (entity_of(feed),)):
            first = self.store.first_version(division, entity, self._modified)
            if first is not None:
                codec = self.store.codec(entity)
                found.append((first.version, codec.load(first.body)[codec.index["Modified"]]))
        if not found:
            return []
        version, modified = min(found)
        values: Values = [None] * self._codec.width
        for name, value in (("Modified", modified), ("API", self._name), ("TimeStampAsBigInt", version)):
            values[self.slots[name]] = value
        return [values]


def current_division(store: Store, chosen: int | None) -> int | None:
    """The division a user last opened: the one chosen, else the lowest."""
    codes = store.division_codes()
    return chosen if chosen is not None else next(iter(codes), None)
