"""The .NET names of rows, as in ``__metadata.type``, in ``$metadata`` and in messages.

They cannot be derived from the path: old entities have no namespace of their own, newer ones that of their service.
Source: Exact's ``$metadata`` documents of 2025 (alfa1-group/ExactOnline, resources/edmx), for the services that are
named below. Of others, of the lists and functions below ``read/`` and of bulk nothing is known: a list gets the
namespace of its service, and bulk the type of its standard twin.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from exact_online_sandbox.entities import entity_of, singular
from exact_online_sandbox.reference import Endpoint, endpoints

_MODELS = "Exact.Web.Api.Models"

# Namespace of a service where it is not simply its name.
_NAMESPACES: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(
            ("budget", "documents", "purchaseentry", "sales", "salesentry", "salesinvoice", "subscription", "vat"), ""
        ),
        "crm": "CRM",
        "financialtransaction": "Financial",
        "generaljournalentry": "Financial",
        "hrm": "HRM",
        "purchaseorder": "PurchaseOrder",
        "salesorder": "SalesOrders",
        "current": "System",
    }
)

# Old entities of services with a namespace, which they do not have themselves.
_WITHOUT_NAMESPACE = frozenset(
    {
        "assets/Assets",
        "assets/CommercialBuildingValues",
        "assets/DepreciationMethods",
        "cashflow/DirectDebitMandates",
        "cashflow/PaymentConditions",
        "crm/AccountClasses",
        "crm/AccountClassificationNames",
        "crm/AccountClassifications",
        "crm/Accounts",
        "crm/BankAccounts",
        "crm/Contacts",
        "crm/HostingOpportunities",
        "crm/Opportunities",
        "crm/OpportunityStages",
        "financial/DeductibilityPercentages",
        "financial/ExchangeRates",
        "financial/FinancialPeriods",
        "financial/GLAccountClassificationMappings",
        "financial/GLAccounts",
        "financial/GLClassifications",
        "financial/GLSchemes",
        "financial/Journals",
        "hrm/Costcenters",
        "hrm/Costunits",
        "hrm/Divisions",
        "inventory/Warehouses",
        "logistics/ItemGroups",
        "logistics/ItemVersions",
        "logistics/Items",
        "logistics/Units",
        "payroll/Employees",
        "project/CostTransactions",
        "project/TimeTransactions",
        "salesorder/Layouts",
        "salesorder/PrintedSalesOrders",
        "salesorder/SalesOrderLines",
        "salesorder/SalesOrderOrderChargeLines",
        "salesorder/SalesOrders",
    }
)

# Types that are not called like the singular of their entity.
_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "assets/CommercialBuildingValues": "CommercialBuildingValues",
        "financial/DeductibilityPercentages": "GLAccountPercentages",
        "financial/GLAccountClassificationMappings": "GLTaxonomyMapping",
        "general/Layouts": "GeneralLayout",
        "inventory/AssemblyBillOfMaterialHeader": "AssemblyBillOfMaterialHeader",
        "inventory/AssemblyBillOfMaterialMaterials": "AssemblyBillOfMaterialMaterials",
        "inventory/InventorySettings": "InventorySettings",
        "inventory/StorageLocationStockPositions": "StorageLocationStockPositions",
        "logistics/Incoterms": "Incoterms",
        "logistics/ReasonCodes": "ReasonCodes",
        "manufacturing/ManufacturingSettings": "ManufacturingSettings",
        "manufacturing/TimeTransactions": "ManufacturingTimeTransaction",
        "payroll/EmploymentTaxAuthoritiesGeneral": "EmploymentTaxAuthoritiesGeneral",
        "project/InvoiceTerms": "ProjectTerm",
        "purchaseorder/PurchaseReturnLines": "PurchaseReturnLines",
        "subscription/SubscriptionLineTypes": "SubscriptionChargeType",
    }
)

# Whole names, where even the namespace is another service's.
_WHOLE: Mapping[str, str] = MappingProxyType(
    {
        "salesinvoice/InvoiceSalesOrders": f"{_MODELS}.SalesInvoices.InvoiceSalesOrders",
        "sync/Deleted": f"{_MODELS}.Sync.Deleted.DeletedEntity",
        "system/Users": f"{_MODELS}.Users.User",
        "users/Users": f"{_MODELS}.User",
    }
)


def type_of(endpoint: Endpoint) -> str:
    """The .NET name of an endpoint's rows."""
    return _type_at(endpoint.path)


@cache
def _type_at(path: str) -> str:
    if path in _WHOLE:
        return _WHOLE[path]
    endpoint = endpoints()[path]
    if endpoint.kind == "sync":
        return f"{_MODELS}.Sync.{path.split('/')[1]}.{_name(path)}Sync"
    twin = entity_of(path) if endpoint.kind == "bulk" and endpoints()[entity_of(path)].kind == "standard" else path
    service = twin.split("/")[-2]
    namespace = "" if twin in _WITHOUT_NAMESPACE else _NAMESPACES.get(service, service.capitalize())
    return ".".join(filter(None, (_MODELS, namespace, _name(twin))))


def _name(path: str) -> str:
    return _NAMES.get(path, singular(path.rpartition("/")[2]))
