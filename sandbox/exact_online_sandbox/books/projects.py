"""A few projects and documents."""

from __future__ import annotations

from typing import Any

from exact_online_sandbox.books.founding import Founding
from exact_online_sandbox.books.timeline import business_date, midnight

TIME_AND_MATERIAL = 3
LETTER = 55


def found_projects(founding: Founding, count: int) -> None:
    """Add project/Projects for some customers, given the relations."""
    dice, tables = founding.dice, founding.tables
    customers = [row for row in founding.rows("crm/Accounts") if row["IsSales"]]
    moments = founding.timeline.instants(dice, max(1, count))
    for index in range(count):
        customer = dice.choice(customers)
        manager = dice.choice(founding.company.users)
        founding.add(
            "project/Projects",
            {
                "ID": dice.guid(),
                **founding.company.stamp(dice, founding.founded, moments[index]),
                "Account": customer["ID"],
                "AccountCode": customer["Code"],
                "AccountContact": customer["MainContact"],
                "AccountName": customer["Name"],
                "AllowAdditionalInvoicing": True,
                "AllowMemberEntryOnly": False,
                "BlockEntry": False,
                "BlockInvoicing": False,
                "BlockPlanning": False,
                "BlockPurchasing": False,
                "BlockRebilling": False,
                "BudgetedAmount": round(dice.uniform(2_000, 90_000), 2),
                "BudgetedCosts": round(dice.uniform(1_000, 40_000), 2),
                "BudgetedRevenue": round(dice.uniform(2_000, 90_000), 2),
                "BudgetOverrunHours": 10,
                "Code": f"P{index + 1:04d}",
                "CustomerPOnumber": f"PO/{dice.digits(5)}",
                "Description": f"{tables.words['project']} {customer['Name'].strip()} ({index + 1})",
                "DivisionName": founding.company.name,
                "EndDate": None,
                "HasWBSLines": False,
                "IncludeInvoiceSpecification": 1,
                "IncludeSpecificationInInvoicePdf": False,
                "InternalNotes": dice.choice(tables.remarks) if index % 3 == 0 else None,
                "InvoiceAsQuoted": False,
                "IsWBSRequiredForEntry": 2,
                "Manager": manager.id,
                "ManagerFullname": manager.name,
                "MarkupPercentage": 0.075,
                "Notes": dice.choice(tables.remarks) if index % 4 == 1 else None,
                "PaymentCondition": customer.get("PaymentConditionSales"),
                "SalesTimeQuantity": 0.0,
                "StartDate": business_date(founding.timeline.start),
                "TimeQuantityToAlert": 0.0,
                "Type": TIME_AND_MATERIAL,
                "TypeDescription": tables.words["time and material"],
                "UseBillingMilestones": False,
            },
        )


def found_documents(founding: Founding, count: int) -> None:
    """Add documents/Documents: letters to and from relations, given the relations."""
    dice, tables = founding.dice, founding.tables
    accounts: list[dict[str, Any]] = founding.rows("crm/Accounts")
    names = {row["ID"]: row["FullName"] for row in founding.rows("crm/Contacts")}
    for index, moment in enumerate(founding.timeline.instants(dice, max(1, count))[:count]):
        account = dice.choice(accounts)
        subject = f"{tables.words['contract']} {account['Name'].strip()}: {tables.words['letter']} {index + 1}"
        body = dice.choice(tables.remarks) if index % 2 else None
        founding.add(
            "documents/Documents",
            {
                "ID": dice.guid(),
                **founding.company.stamp(dice, moment),
                "Account": account["ID"],
                "AccountCode": account["Code"],
                "AccountName": account["Name"],
                "Body": body,
                "Contact": account["MainContact"],
                "ContactFullName": names[account["MainContact"]],
                "DocumentDate": midnight(business_date(moment).date()),
                "HasEmptyBody": body is None,
                "HID": 5_001 + index,
                "InheritShare": True,
                "Language": tables.language,
                "Subject": subject,
                "Type": LETTER,
                "TypeDescription": tables.words["letter"],
            },
        )
