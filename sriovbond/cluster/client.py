"""A client of the Kubernetes API for single objects, bounded in time and size.

Importing it imports `kubernetes` (0.4 s), so it is imported only when the API is called.
"""

import base64
import ssl
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, Self

import yaml
from kubernetes.client import ApiClient, ApiException, Configuration
from kubernetes.config import ConfigException
from kubernetes.config.kube_config import KubeConfigLoader
from urllib3 import BaseHTTPResponse, PoolManager, Retry
from urllib3.exceptions import HTTPError, MaxRetryError, SSLError
from urllib3.exceptions import TimeoutError as NoAnswerError
from urllib3.util.ssl_ import create_urllib3_context

from deviceinfo.jsonfile import ELEMENTS, Fields, parse_object
from deviceinfo.plainfile import UnreadableError
from sriovbond import __version__
from sriovbond.cluster.resources import ApiRefusedError, Resource

# etcd refuses objects above 1.5 MiB; their JSON is a little larger.
_ANSWER_BYTES: Final = 4 << 20
_PIECE_BYTES: Final = 1 << 16
_OK, _CREATED, _CONFLICT = 200, 201, 409
_RETRIES: Final = 10
_CONTENT_TYPES: Final = {"POST": "application/json", "PATCH": "application/merge-patch+json"}
LATE: Final = "no answer in time; look at the API server and the way to it"
_OF_DATA: Final = (
    ("clusters", "cluster", "certificate-authority"),
    ("users", "user", "client-certificate"),
    ("users", "user", "client-key"),
)
"""Where a kubeconfig may have a file's content in place of its name."""


class _Retry(Retry):
    """urllib3's Retry that does not retry past a deadline of the monotonic clock."""

    deadline: float = 0

    def new(self, **changes: Any) -> Self:  # noqa: ANN401 - urllib3's own signature
        """Pass the deadline to the next attempt."""
        following = super().new(**changes)
        following.deadline = self.deadline
        return following

    def increment(self, *args: Any, **context: Any) -> Self:  # noqa: ANN401 - likewise
        """Give up when the next attempt would be too late, or would fail the same way."""
        error, response = context.get("error"), context.get("response")
        if isinstance(error, SSLError):
            raise error
        if response is not None:
            response.close()  # else urllib3 reads the whole error response, of any length
        following = super().increment(*args, **context)
        asked_s = self.get_retry_after(response) if response is not None else None
        if time.monotonic() + (asked_s or following.get_backoff_time()) < self.deadline:
            return following
        raise MaxRetryError(context["_pool"], None, error)


class Client:
    """Reads and writes objects until a deadline of the monotonic clock.

    Names must have been checked. Raises ApiRefusedError with the response's status, UnreadableError
    when there is no response, with the reason.
    """

    def __init__(self, api: ApiClient, deadline: float) -> None:
        self._api = api
        self._deadline = deadline

    def get(self, resource: Resource, namespace: str, name: str) -> Fields:
        """Get an object."""
        names = {"namespace": namespace, "name": name}
        status, content = self._request("GET", resource.path, names)
        if status != _OK:
            raise ApiRefusedError(_refusal(status, "get", resource, namespace), status)
        if len(content) > _ANSWER_BYTES:
            raise UnreadableError(f"the answer is larger than {_ANSWER_BYTES} bytes")
        return parse_object(content, most_elements=2 * ELEMENTS)

    def create(self, resource: Resource, namespace: str, body: Mapping[str, object]) -> None:
        """Create an object. One that exists counts as created: the first response was lost."""
        path = resource.path.removesuffix("/{name}")
        status, _ = self._request("POST", path, {"namespace": namespace}, body)
        if status not in {_OK, _CREATED, _CONFLICT}:
            raise ApiRefusedError(_refusal(status, "create", resource, namespace), status)

    def merge(
        self, resource: Resource, namespace: str, name: str, change: Mapping[str, object]
    ) -> None:
        """Change some fields of an object (JSON merge patch, RFC 7386)."""
        names = {"namespace": namespace, "name": name}
        status, _ = self._request("PATCH", resource.path, names, change)
        if status != _OK:
            raise ApiRefusedError(_refusal(status, "patch", resource, namespace), status)

    def _request(
        self,
        method: str,
        path: str,
        names: Mapping[str, str],
        body: Mapping[str, object] | None = None,
    ) -> tuple[int, bytes]:
        try:
            return self._ask(method, path, names, body)
        except Exception as error:  # noqa: BLE001 - of three libraries; http.client's quotes the token
            raise UnreadableError(_why(error)) from None

    def _ask(
        self, method: str, path: str, names: Mapping[str, str], body: Mapping[str, object] | None
    ) -> tuple[int, bytes]:
        """Return the status and, if it is 200, the content, up to one byte above the limit."""
        left_s = self._deadline - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = _CONTENT_TYPES[method]
        request = self._api.param_serialize(
            method,
            path,
            path_params=dict(names),
            header_params=headers,
            body=body,
            auth_settings=["BearerToken"],
        )
        answer = self._api.call_api(*request, _request_timeout=left_s)
        with closing(answer.response) as response:
            content = self._read(response) if response.status == _OK else b""
            return response.status, content

    def _read(self, response: BaseHTTPResponse) -> bytes:
        """Read piece by piece: a server that sends a byte now and then never times out."""
        content = bytearray()
        while len(content) <= _ANSWER_BYTES and (piece := response.read1(_PIECE_BYTES)):
            if time.monotonic() > self._deadline:
                raise TimeoutError
            content += piece
        return bytes(content)


@contextmanager
def connected(kubeconfig: bytes, folder: Path, deadline: float) -> Iterator[Client]:
    """Connect, at the first request, by a kubeconfig with paths relative to `folder`.

    Certificates given as data are files in a temporary folder meanwhile: OpenSSL needs files.
    Raises UnreadableError if it is not a kubeconfig, or requires a credential program.
    """
    with tempfile.TemporaryDirectory(prefix="sriovbond-") as certificates:
        configuration = _configuration(kubeconfig, folder, certificates)
        configuration.retries = _Retry(
            total=_RETRIES,
            redirect=False,
            status_forcelist={429, 500, 502, 503, 504},
            allowed_methods={"GET"},
            backoff_factor=0.1,
            backoff_jitter=0.1,
            raise_on_status=False,
        )
        configuration.retries.deadline = deadline
        with ApiClient(configuration) as api:
            api.user_agent = f"sriovbond/{__version__}"
            api.rest_client.pool_manager.connection_pool_kw["ssl_context"] = _make_ssl_context(api)
            try:
                yield Client(api, deadline)
            finally:
                _close(api.rest_client.pool_manager)


def _make_ssl_context(api: ApiClient) -> ssl.SSLContext:
    """Return the context that verifies the server, with a CA of the form that Go accepts.

    Python 3.13 and later require key usage and key identifiers, which the CAs of many clusters do
    not have (kubernetes-client/python#2394).
    """
    configuration = api.configuration
    needed = ssl.CERT_REQUIRED if configuration.verify_ssl else ssl.CERT_NONE
    context = create_urllib3_context(cert_reqs=needed)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if not configuration.ssl_ca_cert:
        context.load_default_certs()
    return context


def _close(manager: PoolManager) -> None:
    """Close the connections; urllib3 closes them when unreferenced, which may log errors."""
    for server in manager.pools.keys():  # noqa: SIM118 - it cannot be iterated over
        manager.pools[server].close()


def _configuration(kubeconfig: bytes, folder: Path, certificates: str) -> Configuration:
    configuration = Configuration()
    try:
        parsed = yaml.safe_load(kubeconfig)
        _refuse_programs(parsed)
        _write_data(parsed, Path(certificates))
        loader = KubeConfigLoader(parsed, config_base_path=str(folder))
        loader.load_and_set(configuration)
    except (UnreadableError, ConfigException) as error:
        raise UnreadableError(ascii(str(error))[1:-1]) from None
    except Exception as error:  # noqa: BLE001 - the loader trusts its input; yaml's quotes the token
        raise UnreadableError(f"it is no kubeconfig ({type(error).__name__})") from None
    if not configuration.host.startswith(("https://", "http://")):
        raise UnreadableError("its server is missing or no URL")
    configuration.refresh_api_key_hook = None  # called once; a second call would undo the next line
    # `kubectl create token > file` ends in a newline, which is not allowed in a header
    configuration.api_key = {key: text.strip() for key, text in configuration.api_key.items()}
    return configuration


def _write_data(parsed: Any, folder: Path) -> None:  # noqa: ANN401 - any YAML
    """Write what is given as data into files of this connection's own.

    The loader would remember the file of each content, and use it from other threads' connections,
    which remove their files when they end.
    """
    for number, (rows, part, key) in enumerate(_OF_DATA):
        for place, entry in enumerate(parsed.get(rows) or ()):
            section = entry.get(part) or {}
            if data := section.pop(f"{key}-data", None):
                file = folder / f"{number}-{place}"
                file.write_bytes(base64.standard_b64decode(data))
                section[key] = str(file)


def _refuse_programs(parsed: Any) -> None:  # noqa: ANN401 - any YAML
    """Refuse `exec`, which has no time limit, and `auth-provider`, which calls other servers."""
    for entry in parsed["users"]:
        for key in ("exec", "auth-provider"):
            if key in (entry.get("user") or {}):
                raise UnreadableError(
                    f"its users have {key!r}, which is not used here; name a tokenFile or a"
                    " client certificate"
                )


def _why(error: Exception) -> str:
    """Return why there was no response, in a text that cannot contain credentials."""
    reason = (error.reason or error) if isinstance(error, MaxRetryError) else error
    cause = reason.__cause__
    if isinstance(reason, ApiException):  # rest.py makes it of an SSLError: name, then text
        return f"no TLS connection: {str(reason.reason).splitlines()[-1]!a}"
    if isinstance(reason, HTTPError) and isinstance(cause, OSError) and cause.strerror:
        return f"no connection: {cause.strerror}; look at the API server's address"
    if isinstance(reason, NoAnswerError | TimeoutError):
        return LATE
    return f"no answer ({type(reason).__name__})"


def _refusal(status: int, verb: str, resource: Resource, namespace: str) -> str:
    match status:
        case 401:
            return "401: the token or certificate is not accepted; renew it"
        case 403:
            return (
                f"403: no right to {verb} {resource.name} in namespace {namespace!r};"
                " apply manifests/rbac.yaml"
            )
        case 404:
            return f"404: no such object, or the cluster does not know {resource.name}"
        case _:
            return f"the API server answered {status}"
