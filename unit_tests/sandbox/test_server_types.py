"""Names of rows' types, as Exact's `$metadata` documents have them."""

from __future__ import annotations

import pytest

from exact_online_sandbox.reference import endpoints
from exact_online_sandbox.sandbox import Sandbox
from exact_online_sandbox.type_names import type_of
from unit_tests.sandbox.server_caller import DIVISION, NOW, Caller

KNOWN = {
    "assets/AssetGroups": "Assets.AssetGroup",
    "assets/Assets": "Asset",
    "assets/CommercialBuildingValues": "CommercialBuildingValues",
    "budget/Budgets": "Budget",
    "cashflow/Banks": "Cashflow.Bank",
    "cashflow/DirectDebitMandates": "DirectDebitMandate",
    "cashflow/PaymentConditions": "PaymentCondition",
    "cashflow/Receivables": "Cashflow.Receivable",
    "crm/AccountClasses": "AccountClass",
    "crm/Accounts": "Account",
    "crm/Addresses": "CRM.Address",
    "crm/BankAccounts": "BankAccount",
    "crm/Contacts": "Contact",
    "crm/Opportunities": "Opportunity",
    "crm/Quotations": "CRM.Quotation",
    "current/Me": "System.Me",
    "documents/DocumentCategories": "DocumentCategory",
    "documents/Documents": "Document",
    "financial/DeductibilityPercentages": "GLAccountPercentages",
    "financial/ExchangeRates": "ExchangeRate",
    "financial/GLAccountClassificationMappings": "GLTaxonomyMapping",
    "financial/GLAccounts": "GLAccount",
    "financial/GLTransactionTypes": "Financial.GLTransactionType",
    "financial/Journals": "Journal",
    "financial/ReportingBalance": "Financial.ReportingBalance",
    "financialtransaction/BankEntries": "Financial.BankEntry",
    "financialtransaction/CashEntryLines": "Financial.CashEntryLine",
    "financialtransaction/TransactionLines": "Financial.TransactionLine",
    "general/Currencies": "General.Currency",
    "generaljournalentry/GeneralJournalEntries": "Financial.GeneralJournalEntry",
    "hrm/Costcenters": "Costcenter",
    "hrm/DivisionClasses": "HRM.DivisionClass",
    "hrm/Divisions": "Division",
    "inventory/ItemWarehouses": "Inventory.ItemWarehouse",
    "inventory/StockBatchNumbers": "Inventory.StockBatchNumber",
    "inventory/Warehouses": "Warehouse",
    "logistics/ItemGroups": "ItemGroup",
    "logistics/Items": "Item",
    "logistics/SalesItemPrices": "Logistics.SalesItemPrice",
    "logistics/SupplierItem": "Logistics.SupplierItem",
    "manufacturing/ShopOrders": "Manufacturing.ShopOrder",
    "manufacturing/TimeTransactions": "Manufacturing.ManufacturingTimeTransaction",
    "payroll/Employees": "Employee",
    "payroll/Employments": "Payroll.Employment",
    "project/Projects": "Project.Project",
    "project/TimeTransactions": "TimeTransaction",
    "purchaseentry/PurchaseEntries": "PurchaseEntry",
    "purchaseorder/PurchaseOrders": "PurchaseOrder.PurchaseOrder",
    "purchaseorder/PurchaseReturnLines": "PurchaseOrder.PurchaseReturnLines",
    "sales/ShippingMethods": "ShippingMethod",
    "salesentry/SalesEntryLines": "SalesEntryLine",
    "salesinvoice/SalesInvoices": "SalesInvoice",
    "salesorder/GoodsDeliveries": "SalesOrders.GoodsDelivery",
    "salesorder/SalesOrders": "SalesOrder",
    "subscription/SubscriptionLineTypes": "SubscriptionChargeType",
    "sync/Cashflow/PaymentTerms": "Sync.Cashflow.PaymentTermSync",
    "sync/Deleted": "Sync.Deleted.DeletedEntity",
    "sync/Project/ProjectWBS": "Sync.Project.ProjectWBSSync",
    "sync/Project/TimeCostTransactions": "Sync.Project.TimeCostTransactionSync",
    "system/Users": "Users.User",
    "users/Users": "User",
    "vat/VATCodes": "VATCode",
    "webhooks/WebhookSubscriptions": "Webhooks.WebhookSubscription",
}


@pytest.mark.parametrize("path", KNOWN)
def test_types_are_called_as_in_exacts_metadata(path: str) -> None:
    assert type_of(endpoints()[path]) == f"Exact.Web.Api.Models.{KNOWN[path]}"


def test_bulk_rows_have_the_type_of_the_standard_ones() -> None:
    for path, twin in (
        ("bulk/CRM/Accounts", "crm/Accounts"),
        ("bulk/Financial/TransactionLines", "financialtransaction/TransactionLines"),
    ):
        assert type_of(endpoints()[path]) == type_of(endpoints()[twin])
    assert type_of(endpoints()["bulk/Project/ProjectWBS"]) == "Exact.Web.Api.Models.Project.ProjectWBS"


def test_rows_metadata_and_messages_have_the_same_name(box: Sandbox, caller: Caller) -> None:
    box.store.insert(DIVISION, "crm/Addresses", {}, at=NOW)
    name = "Exact.Web.Api.Models.CRM.Address"
    assert caller.get(f"{DIVISION}/crm/Addresses").rows[0]["__metadata"]["type"] == name
    assert name in caller.get(f"{DIVISION}/crm/Addresses?$select=Nothing").message
    assert f'EntityType="{name}"' in caller.get(f"{DIVISION}/crm/$metadata").text
