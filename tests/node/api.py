"""The Kubernetes API by plain HTTPS: kubectl takes seconds to start in the emulated node."""

import http.client
import json
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

Object = dict[str, Any]
_ANSWERS_S: Final = 60.0
_PLURALS: Final = {
    "DeviceClass": "deviceclasses",
    "NetworkAttachmentDefinition": "network-attachment-definitions",
    "PriorityClass": "priorityclasses",
}
_CLUSTER_WIDE: Final = {
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "DeviceClass",
    "Namespace",
    "Node",
    "ResourceSlice",
}
_APPLY: Final = "application/apply-patch+yaml"


class RefusedError(Exception):
    """The API server answered with an error, whose text this is."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code


class Api:
    """A client with a kubeconfig of tests.node.credentials.

    It keeps its connection: making one takes the emulated node longer than a request.
    """

    def __init__(self, kubeconfig: Path, server: str) -> None:
        config = json.loads(kubeconfig.read_text())
        authority = config["clusters"][0]["cluster"]["certificate-authority"]
        self._token = config["users"][0]["user"]["token"]
        self._connection = http.client.HTTPSConnection(
            urlsplit(server).netloc,
            context=ssl.create_default_context(cafile=authority),
            timeout=_ANSWERS_S,
        )

    def close(self) -> None:
        """Close the connection; the next request makes another."""
        self._connection.close()

    def get(self, path: str, **query: str) -> Any:  # noqa: ANN401 - an object, or a list of them
        """Return what is at a path; RefusedError 404 where nothing is."""
        return self._ask("GET", path, query)

    def find(self, path: str) -> Object | None:
        """Return an object, or None."""
        try:
            found: Object = self.get(path)
        except RefusedError as error:
            if error.code != http.client.NOT_FOUND:
                raise
            return None
        return found

    def apply(self, *objects: Object) -> None:
        """Create or change objects, by server-side apply."""
        for each in objects:
            query = {"fieldManager": "tests", "force": "true"}
            self._ask("PATCH", path_of(each), query, each, _APPLY)

    def patch(self, path: str, patch: Object) -> None:
        """Merge a patch into an object."""
        self._ask("PATCH", path, {}, patch, "application/merge-patch+json")

    def delete(self, path: str, **options: object) -> None:
        """Delete an object, which may be gone already."""
        try:
            self._ask("DELETE", path, {}, {"propagationPolicy": "Background", **options})
        except RefusedError as error:
            if error.code != http.client.NOT_FOUND:
                raise

    def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Object | None = None,
        kind: str = "application/json",
    ) -> Any:  # noqa: ANN401 - what JSON holds
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": kind}
        content = None if body is None else json.dumps(body)
        request = (method, f"{path}?{urlencode(query)}", content, headers)
        try:
            status, text = self._answer(*request)
        except (http.client.HTTPException, OSError):  # it was closed meanwhile, as may happen
            self.close()
            status, text = self._answer(*request)
        if status >= http.client.BAD_REQUEST:
            raise RefusedError(status, text)
        return json.loads(text)

    def _answer(
        self, method: str, url: str, content: str | None, headers: dict[str, str]
    ) -> tuple[int, str]:
        self._connection.request(method, url, content, headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read().decode()


def path_of(named: Object) -> str:
    """Return the path of an object."""
    kind, metadata = named["kind"], named["metadata"]
    version = named["apiVersion"]
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    plural = _PLURALS.get(kind, f"{kind.lower()}s")
    if kind in _CLUSTER_WIDE:
        return f"{root}/{plural}/{metadata['name']}"
    return f"{root}/namespaces/{metadata.get('namespace', 'default')}/{plural}/{metadata['name']}"
