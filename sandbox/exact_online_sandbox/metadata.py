"""``$metadata``: the description of a service that OData clients read first."""

from __future__ import annotations

from xml.sax.saxutils import quoteattr

from exact_online_sandbox.entities import entities, entity_of
from exact_online_sandbox.reference import Endpoint, endpoints
from exact_online_sandbox.type_names import type_of

_HEAD = (
    '<?xml version="1.0" encoding="utf-8" standalone="yes"?>\n'
    '<edmx:Edmx Version="1.0" xmlns:edmx="http://schemas.microsoft.com/ado/2007/06/edmx">'
    '<edmx:DataServices m:DataServiceVersion="2.0"'
    ' xmlns:m="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata">'
)


def render_metadata(service: str) -> bytes | None:
    """Describe the entities below one path (``crm``, ``sync/CRM``); None when there are none.

    Only primitive properties and keys are described.
    """
    found = [
        e
        for path, e in endpoints().items()
        if path.rpartition("/")[0].lower() == service.lower() and e.readable and e.status != "removed" and e.properties
    ]
    if not found:
        return None
    namespaces: dict[str, list[str]] = {}
    sets = []
    for endpoint in found:
        namespace, _, name = type_of(endpoint).rpartition(".")
        namespaces.setdefault(namespace, []).append(_entity_type(name, endpoint))
        sets.append(f"<EntitySet Name={quoteattr(endpoint.entity_set)} EntityType={quoteattr(type_of(endpoint))} />")
    schemas = "".join(_schema(namespace, "".join(types)) for namespace, types in namespaces.items())
    all_sets = "".join(sets)
    container = _schema(
        "Exact.Web.Api",
        f'<EntityContainer Name="Service" m:IsDefaultEntityContainer="true">{all_sets}</EntityContainer>',
    )
    return f"{_HEAD}{schemas}{container}</edmx:DataServices></edmx:Edmx>".encode()


def _schema(namespace: str, body: str) -> str:
    xmlns = "http://schemas.microsoft.com/ado/2008/09/edm"
    return f'<Schema Namespace={quoteattr(namespace)} xmlns="{xmlns}">{body}</Schema>'


def _entity_type(name: str, endpoint: Endpoint) -> str:
    keys = "".join(f"<PropertyRef Name={quoteattr(key)} />" for key in endpoint.key)
    always = set(endpoint.key) | set(entities()[entity_of(endpoint.path)].never_null)
    nullable = {True: "true", False: "false"}
    properties = "".join(
        f'<Property Name={quoteattr(p.name)} Type={quoteattr(p.type)} Nullable="{nullable[p.name not in always]}" />'
        for p in endpoint.properties.values()
        if p.is_plain
    )
    key = f"<Key>{keys}</Key>" if keys else ""
    return f"<EntityType Name={quoteattr(name)}>{key}{properties}</EntityType>"
