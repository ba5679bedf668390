"""The JSON schema of a network configuration, made from the model and the table of options."""

from collections.abc import Iterable

from sriovbond.bond.config import AUTO, OWN_FIELDS, NetConf
from sriovbond.bond.links import ALTNAME_MAX
from sriovbond.bond.options import MEMBER_OPTIONS, OPTIONS, Option


def json_schema() -> dict[str, object]:
    """Return the JSON schema of a network configuration, made from the model and the table."""
    schema = NetConf.model_json_schema(by_alias=True)
    own = {key: schema["properties"][key] for key in OWN_FIELDS.values()}
    own["links"]["anyOf"].append({"const": AUTO})
    used = schema["$defs"]
    names = {"type": "string", "pattern": f"^([^*?[]{{1,{ALTNAME_MAX}}}|.*[*?[].*)$"}
    used["LinkSelector"]["properties"]["name"]["anyOf"][0].update(names)
    used["LinkSelector"]["properties"].update(_described(MEMBER_OPTIONS))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "sriovbond network configuration",
        "type": "object",
        "properties": dict(sorted({**own, **_described(OPTIONS)}.items())),
        "$defs": used,
    }


def _described(options: Iterable[Option]) -> dict[str, object]:
    return {
        key: {**row.kind.schema(), "description": row.about}
        for row in options
        for key in (row.name, camel_case(row.name), *row.aliases)
    }


def camel_case(name: str) -> str:
    """Return bond-cni's spelling of a kernel name: failOverMac of fail_over_mac."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
