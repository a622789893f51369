"""The chart of accounts and its classification."""

from __future__ import annotations

from exact_online_sandbox.books.founding import Founding
from exact_online_sandbox.books.outbox import Row
from exact_online_sandbox.books.tables.country import ChartLine

CREDIT_TYPES = frozenset({22, 24, 25, 27, 29, 35, 50, 52, 55, 60, 100, 110, 140, 160})
CHANGED_SHARE = 0.5
SEARCH_CODE_WIDTH = 9
PERSONNEL_TYPES = (125, 126)


def search_code(text: str) -> str:
    """A search code as Exact stores it: capitals, cut and padded to nine characters."""
    return text.upper()[:SEARCH_CODE_WIDTH].strip().ljust(SEARCH_CODE_WIDTH)


def found_chart(founding: Founding) -> None:
    """Add financial/GLAccounts, GLClassifications, GLSchemes and GLAccountClassificationMappings."""
    _accounts(founding)
    _classifications(founding)


def _accounts(founding: Founding) -> None:
    chart = founding.tables.chart
    stamps = founding.notable_stamps(len(chart))
    for line, stamp in zip(chart, stamps, strict=True):
        founding.add("financial/GLAccounts", {"ID": founding.dice.guid(), **stamp, **_account(founding, line)})


def _account(founding: Founding, line: ChartLine) -> Row:
    profit_and_loss = 110 <= line.type < 300
    personnel = line.type in PERSONNEL_TYPES
    center, unit = founding.tables.cost_centers[0], founding.tables.cost_units[0]
    return {
        "AllowCostsInSales": 0,
        "AssimilatedVATBox": None,
        "BalanceSide": "C" if line.type in CREDIT_TYPES else "D",
        "BalanceType": "W" if profit_and_loss else "B",
        "BelcotaxType": None,
        "Code": line.code,
        "Compress": line.type in (20, 22),
        "Costcenter": center[0] if personnel else None,
        "CostcenterDescription": center[1] if personnel else None,
        "Costunit": unit[0] if personnel else None,
        "CostunitDescription": unit[1] if personnel else None,
        "CustomField": None,
        "Description": line.description,
        "DescriptionTermID": None,
        "ExcludeVATListing": 0,
        "ExpenseNonDeductiblePercentage": 0.2 if line.role == "hospitality" else 0.0,
        "IsBlocked": False,
        "Matching": line.type in (20, 22, 90),
        "PrivateGLAccount": None,
        "PrivatePercentage": 0.0,
        "ReportingCode": None,
        "RevalueCurrency": line.type in (12, 20, 22),
        "SearchCode": search_code(line.description),
        "Type": line.type,
        "TypeDescription": founding.tables.type_names[line.type],
        "UseCostcenter": 0 if profit_and_loss else 2,
        "UseCostunit": 0 if profit_and_loss else 2,
        "VATCode": None,
        "VATDescription": None,
        "VATGLAccountType": "B" if line.role == "vat_to_pay_high" else None,
        "VATNonDeductibleGLAccount": None,
        "VATNonDeductiblePercentage": 0.0,
        "YearEndCostGLAccount": None,
        "YearEndReflectionGLAccount": None,
    }


def _classifications(founding: Founding) -> None:
    dice, tables = founding.dice, founding.tables
    scheme, namespace, kind = dice.guid(), dice.guid(), dice.guid()
    scheme_code, scheme_name = tables.words["scheme"], tables.words["scheme name"]
    founding.add(
        "financial/GLSchemes",
        {
            "ID": scheme,
            **founding.setup_stamp(),
            "Code": scheme_code,
            "Description": scheme_name,
            "Main": 1,
            "TargetNamespace": f"http://www.{tables.web_domain}/taxonomy/{scheme_code.lower()}",
        },
    )
    ids: dict[str, str] = {}
    by_type: dict[int, tuple[str, str]] = {}
    stamps = founding.changed_stamps(len(tables.classifications), CHANGED_SHARE)
    for line, stamp in zip(tables.classifications, stamps, strict=True):
        ids[line.code] = dice.guid()
        by_type.update(dict.fromkeys(line.types, (line.code, line.name)))
        founding.add(
            "financial/GLClassifications",
            {
                "ID": ids[line.code],
                **stamp,
                "Abstract": not line.types,
                "Balance": line.side,
                "Code": line.code,
                "Description": line.name,
                "IsTupleSubElement": False,
                "Name": line.name.title().replace(" ", ""),
                "Nillable": True,
                "Parent": ids[line.parent] if line.parent else None,
                "PeriodType": "instant" if line.code.startswith("B") else "duration",
                "SubstitutionGroup": "item",
                "TaxonomyNamespace": namespace,
                "TaxonomyNamespaceDescription": tables.words["taxonomy"],
                "Type": kind,
            },
        )
    for account in founding.rows("financial/GLAccounts"):
        code, name = by_type[account["Type"]]
        founding.add(
            "financial/GLAccountClassificationMappings",
            {
                "ID": dice.guid(),
                "Division": founding.company.division,
                "Classification": ids[code],
                "ClassificationCode": code,
                "ClassificationDescription": name,
                "GLAccount": account["ID"],
                "GLAccountCode": account["Code"],
                "GLAccountDescription": account["Description"],
                "GLSchemeCode": scheme_code,
                "GLSchemeDescription": scheme_name,
                "GLSchemeID": scheme,
            },
        )
