"""The Kubernetes API over plain HTTP: who we are to it, and objects by path.

Reads a kubeconfig (token or client certificate) or the files that a pod finds of its service account. Programs that a
kubeconfig names to fetch credentials are not run.
"""

from __future__ import annotations

import base64
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from argosy.errors import OutsideError
from argosy.run.drivers._http import ask

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
IN_CLUSTER = "https://kubernetes.default.svc"
Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class KubeApi:
    """One API server, and who asks it."""

    server: str
    token_file: Path | None
    token: str | None
    context: ssl.SSLContext | None
    timeout_seconds: float

    def ask(
        self, method: str, path: str, body: Any = None, *, patch: bool = False, raw: bool = False
    ) -> tuple[int, Any]:
        """Status and object; 4xx that concern the question are answers."""
        headers = {"Accept": "application/json"} if not raw else {}
        token = self.token
        if self.token_file is not None:  # short-lived, renewed on disk
            try:
                token = self.token_file.read_text("utf-8").strip()
            except OSError as error:
                raise OutsideError(f"the token of the API server: {error}") from error
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if patch:
            headers["Content-Type"] = "application/merge-patch+json"
        return ask(
            method, self.server + path, body, headers=headers, context=self.context,
            timeout_seconds=self.timeout_seconds, raw=raw,
        )  # fmt: skip

    def get(self, path: str) -> Object | None:
        """An object; None when there is none."""
        status, found = self.ask("GET", path)
        if status == 404:
            return None
        if status >= 400:
            raise OutsideError(f"GET {path}: {status} {_message(found)}")
        made: Object = found
        return made

    def items(self, path: str) -> list[Object]:
        """Every object of a list, page by page."""
        found: list[Object] = []
        join = "&" if "?" in path else "?"
        more = ""
        while True:
            page = self.get(f"{path}{join}limit=500{more}")
            if page is None:
                raise OutsideError(f"GET {path}: no such list")
            found += page.get("items") or []
            token = (page.get("metadata") or {}).get("continue")
            if not token:
                return found
            more = f"&continue={token}"


def open_api(server: str | None, kubeconfig: str | None, token_file: str | None, timeout_seconds: float) -> KubeApi:
    """An API server from a kubeconfig, from an address, or as a pod sees it."""
    if kubeconfig is not None:
        return _from_kubeconfig(Path(kubeconfig), timeout_seconds)
    if server is not None:
        return KubeApi(
            server.rstrip("/"), None if token_file is None else Path(token_file), None, None, timeout_seconds
        )
    try:
        context = ssl.create_default_context(cafile=str(SERVICE_ACCOUNT / "ca.crt"))
    except OSError as error:
        raise OutsideError(f"no kubeconfig, no address, and not in a pod: {error}") from error
    return KubeApi(IN_CLUSTER, SERVICE_ACCOUNT / "token", None, context, timeout_seconds)


def _from_kubeconfig(path: Path, timeout_seconds: float) -> KubeApi:
    try:
        written = yaml.safe_load(path.read_text("utf-8"))
        wanted = next(c["context"] for c in written["contexts"] if c["name"] == written["current-context"])
        cluster = next(c["cluster"] for c in written["clusters"] if c["name"] == wanted["cluster"])
        user = next(u["user"] for u in written["users"] if u["name"] == wanted["user"])
        if "exec" in user or "auth-provider" in user:
            raise OutsideError(f"{path}: credentials from a program are not supported; use a token or a certificate")
        server = str(cluster["server"]).rstrip("/")
        context = None
        if server.startswith("https://"):
            ca = _bytes(cluster, "certificate-authority", path)
            context = ssl.create_default_context(cadata=None if ca is None else ca.decode())
            certificate, key = _bytes(user, "client-certificate", path), _bytes(user, "client-key", path)
            if certificate is not None and key is not None:
                with tempfile.NamedTemporaryFile() as file:  # ssl reads certificates from files only
                    file.write(certificate + b"\n" + key)
                    file.flush()
                    context.load_cert_chain(file.name)
        token_file = user.get("tokenFile")
        return KubeApi(server, Path(token_file) if token_file else None, user.get("token"), context, timeout_seconds)
    except (OSError, ValueError, KeyError, TypeError, StopIteration, yaml.YAMLError) as error:
        raise OutsideError(f"{path} cannot be used as a kubeconfig: {type(error).__name__}: {error}") from error


def _bytes(entry: Object, name: str, path: Path) -> bytes | None:
    if f"{name}-data" in entry:
        return base64.b64decode(entry[f"{name}-data"])
    return (path.parent / entry[name]).read_bytes() if name in entry else None


def _message(found: Any) -> str:
    return str(found.get("message", found) if isinstance(found, dict) else found)


def quantity(text: str | int | float | None) -> float:
    """A Kubernetes quantity: 500m, 4, 16Gi, 1e3."""
    if text is None:
        return 0.0
    words = str(text)
    for suffix, factor in _SUFFIXES.items():
        if words.endswith(suffix):
            return float(words[: -len(suffix)]) * factor
    return float(words)


_SUFFIXES = {
    **{f"{letter}i": 1024.0 ** (power + 1) for power, letter in enumerate("KMGTPE")},
    **{letter: 1000.0 ** (power + 1) for power, letter in enumerate("kMGTPE")},
    "m": 1e-3, "u": 1e-6, "n": 1e-9,
}  # fmt: skip
