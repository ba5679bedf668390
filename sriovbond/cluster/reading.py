"""Reads one pod and the definitions of its networks from the API server."""

from deviceinfo import NetworkRequest, PodRef, Reading, Source, Statement
from deviceinfo.plainfile import UnreadableError
from sriovbond.cluster.annotations import Definition, Selection, read_definition, read_pod
from sriovbond.cluster.client import Client
from sriovbond.cluster.resources import NETWORKS, PODS


def read(client: Client, pod: PodRef) -> Reading:
    """Get the pod, then each definition once; those that cannot be read are in `problems`."""
    try:
        facts = read_pod(client.get(PODS, pod.namespace, pod.name), pod)
    except UnreadableError as error:
        return Reading(Source.API, problems=(f"cannot read pod {pod}: {error}",))

    definitions, problems = _definitions(client, facts.selections)
    networks = tuple(
        _request(selection, definitions[selection.network]) for selection in facts.selections
    )
    return Reading(
        Source.API,
        statements=(*_wishes(networks), *facts.statuses),
        networks=networks,
        problems=(*(f"pod {pod}: {problem}" for problem in facts.problems), *problems),
    )


def _definitions(
    client: Client, selections: tuple[Selection, ...]
) -> tuple[dict[str, Definition], tuple[str, ...]]:
    """Get them by network; failures for the same reason are one problem."""
    definitions: dict[str, Definition] = {}
    failed: dict[str, list[str]] = {}
    for selection in selections:
        if selection.network in definitions:
            continue
        definitions[selection.network] = Definition()
        try:
            definitions[selection.network] = read_definition(
                client.get(NETWORKS, selection.namespace, selection.name)
            )
        except UnreadableError as error:
            failed.setdefault(str(error), []).append(selection.network)
    problems = (
        f"cannot read the NetworkAttachmentDefinition of {', '.join(names)}: {reason}"
        for reason, names in failed.items()
    )
    return definitions, tuple(problems)


def _request(selection: Selection, definition: Definition) -> NetworkRequest:
    return NetworkRequest(
        network=selection.network,
        interface=selection.interface,
        plugin=definition.plugin,
        resource=definition.resource,
        device=selection.device or definition.device,
        config=definition.config,
    )


def _wishes(networks: tuple[NetworkRequest, ...]) -> list[Statement]:
    """Return a statement for each network with a device or a resource.

    Without an interface name Multus chooses net1 for the first of the annotation, as it counts
    networks from 0 and the default one comes first (getIfname, pkg/multus/multus.go).
    """
    return [
        Statement(
            Source.API,
            device=network.device,
            resource=network.resource,
            network=network.network,
            interface=network.interface or f"net{place}",
        )
        for place, network in enumerate(networks, start=1)
        if network.resource or network.device
    ]
