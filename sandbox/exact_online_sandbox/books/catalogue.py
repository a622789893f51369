"""Item groups, items and their sales prices."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from exact_online_sandbox.books.chart import search_code
from exact_online_sandbox.books.checksums import barcode
from exact_online_sandbox.books.founding import Founding
from exact_online_sandbox.books.outbox import Row
from exact_online_sandbox.books.settings import VAT_CODE_WIDTH
from exact_online_sandbox.books.tables.country import GroupLine
from exact_online_sandbox.books.timeline import midnight, tick

TINY_PRICE, NOISY_PRICE, LONG_PRICE = 1e-05, 0.1 + 0.2, 9_876.54321
"""Prices that lose digits when read carelessly; the first three items have them."""
REPRICED_SHARE = 0.6
"""Share of the ordinary changes that were one price change: all at the same instant."""
COLOURS = ("", " rood", " blauw", " Öko", " 2e keus", " <XL>", " & co", " naturel", " ½ maat")


def found_catalogue(founding: Founding, count: int) -> None:
    """Add logistics/ItemGroups, Items and SalesItemPrices, given chart and settings."""
    groups = founding.tables.groups
    stamps = founding.changed_stamps(len(groups), 0.6)
    rows = []
    for group, stamp in zip(groups, stamps, strict=True):
        row = _group(founding, group, stamp)
        rows.append(row)
        founding.add("logistics/ItemGroups", row)
    dice, timeline = founding.dice, founding.timeline
    repriced = tick(timeline.start + (timeline.end - timeline.start) * 0.83 + timedelta(minutes=7, milliseconds=973))
    changes = timeline.instants(dice, count)
    dice.shuffle(changes)
    for index in range(count):
        at = index % len(groups)
        modified = changes[index]
        if modified not in timeline.notable and dice.chance(REPRICED_SHARE):
            modified = repriced
        stamp = founding.company.stamp(dice, founding.founded, modified)
        _item(founding, index, groups[at], rows[at], stamp)


def _account(founding: Founding, role: str, prefix: str) -> Row:
    row = founding.account(role)
    return {prefix: row["ID"], f"{prefix}Code": row["Code"], f"{prefix}Description": row["Description"]}


def _group(founding: Founding, group: GroupLine, stamp: Row) -> Row:
    revenue = "revenue_services" if group.service else "revenue_goods" if group.vat == "high" else "revenue_low"
    return {
        "ID": founding.dice.guid(),
        **stamp,
        "Code": group.code,
        "Description": group.description,
        **_account(founding, "cost_of_services" if group.service else "cost_of_goods", "GLCosts"),
        **_account(founding, "stock", "GLPurchaseAccount"),
        **_descr(_account(founding, "purchase_difference", "GLPurchasePriceDifference")),
        **_account(founding, revenue, "GLRevenue"),
        **_account(founding, "stock", "GLStock"),
        **_account(founding, "stock_variance", "GLStockVariance"),
        "IsDefault": int(group is founding.tables.groups[0]),
        "Notes": None,
    }


def _descr(piece: Row) -> Row:
    """This one description is cut short in Exact's reference."""
    return {name.replace("DifferenceDescription", "DifferenceDescr"): value for name, value in piece.items()}


def _price(founding: Founding, index: int, lowest: float, highest: float) -> float:
    if index < 3:
        return (TINY_PRICE, NOISY_PRICE, LONG_PRICE)[index]
    price = founding.dice.triangular(lowest, highest, lowest + (highest - lowest) / 4)
    return round(price, 5 if price < 1 else 3 if index % 9 == 4 else 2)


def _item(founding: Founding, index: int, group: GroupLine, group_row: dict[str, Any], stamp: Row) -> None:
    dice, tables = founding.dice, founding.tables
    article, unit, lowest, highest = group.articles[index // len(tables.groups) % len(group.articles)]
    price = _price(founding, index, lowest, highest)
    kind = next(kind for code, _, kind in tables.units if code == unit)
    vat = next(line for line in tables.vat_codes if line.role == group.vat)
    variant = index // (len(tables.groups) * len(group.articles))
    description = article + (COLOURS[variant % len(COLOURS)] if tables.country == "NL" else f" #{variant + 1}")
    item, code = dice.guid(), f"{group.code}-{index + 1:05d}"
    bars = None if group.service else barcode(dice)
    accounts = {
        name: group_row[name]
        for prefix in ("GLCosts", "GLRevenue", "GLStock")
        for name in (prefix, f"{prefix}Code", f"{prefix}Description")
    }
    weight = None if group.service else round(dice.expovariate(0.4), 3)
    founding.add(
        "logistics/Items",
        {
            "ID": item,
            **stamp,
            **accounts,
            "AverageCost": price * 0.6,
            "Barcode": bars,
            "Class_01": group.code[:2],
            "Code": code,
            "CopyRemarks": 0,
            "CostPriceCurrency": tables.currency,
            "CostPriceNew": round(price * 0.62, 5),
            "CostPriceStandard": round(price * 0.6, 5),
            "Description": description,
            "EndDate": midnight(founding.timeline.notable[-1].date()) if index % 41 == 40 else None,
            "ExtraDescription": f" {description} - {group.description} " if index % 5 == 0 else None,
            "FreeBoolField_01": index % 2 == 0,
            "FreeDateField_01": midnight(dice.choice(founding.timeline.notable).date()) if index % 8 == 1 else None,
            "FreeNumberField_01": price / 3 if index % 4 == 0 else None,
            "FreeTextField_01": dice.choice(tables.remarks) if index % 6 == 2 else None,
            "GrossWeight": weight and weight + 0.1,
            "IsBatchItem": 0,
            "IsBatchNumberItem": 0,
            "IsFractionAllowedItem": group.service or kind in "LVW",
            "IsMakeItem": 0,
            "IsNewContract": 0,
            "IsOnDemandItem": 0,
            "IsPackageItem": False,
            "IsPurchaseItem": True,
            "IsRegistrationCodeItem": 0,
            "IsSalesItem": True,
            "IsSerialItem": False,
            "IsSerialNumberItem": False,
            "IsStockItem": not group.service,
            "IsSubcontractedItem": False,
            "IsTaxableItem": 1,
            "IsTime": int(kind == "T"),
            "IsWebshopItem": int(index % 3 == 0),
            "ItemGroup": group_row["ID"],
            "ItemGroupCode": group.code,
            "ItemGroupDescription": group.description,
            "NetWeight": weight,
            "NetWeightUnit": "kg" if weight is not None else None,
            "Notes": dice.choice(tables.remarks) if index % 7 == 3 else None,
            "PictureUrl": None,
            "SalesVatCode": vat.code.ljust(VAT_CODE_WIDTH),
            "SalesVatCodeDescription": vat.description,
            "SearchCode": search_code(article),
            "SecurityLevel": 10,
            "StandardSalesPrice": price,
            "StartDate": midnight(founding.founded.date()),
            "StatisticalCode": None if group.service else dice.digits(8),
            "StatisticalNetWeight": 0.0,
            "StatisticalUnits": 0.0,
            "StatisticalValue": 0.0,
            "Stock": 0.0 if group.service else float(dice.randrange(0, 900)),
            "Unit": unit,
            "UnitDescription": tables.unit_name(unit),
            "UnitType": kind,
        },
    )
    for quantity, factor in ((1.0, 1.0), (100.0, 0.9))[: 1 + (index % 4 == 1)]:
        founding.add(
            "logistics/SalesItemPrices",
            {
                "ID": dice.guid(),
                **stamp,
                "Barcode": bars,
                "Currency": tables.currency,
                "DefaultItemUnit": unit,
                "DefaultItemUnitDescription": tables.unit_name(unit),
                "EndDate": None,
                "Item": item,
                "ItemCode": code,
                "ItemDescription": description,
                "NumberOfItemsPerUnit": 1.0,
                "Price": price * factor,
                "Quantity": quantity,
                "StartDate": midnight(founding.founded.date()),
                "Unit": unit,
                "UnitDescription": tables.unit_name(unit),
            },
        )
