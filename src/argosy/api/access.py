"""Access: who asks, and what the key allows.

Each request carries a key (`Authorization: Bearer ...`). A key belongs to a project and has a role; roles contain each
other. What belongs to another project is not there (404), never forbidden, so that names cannot be found out.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, get_args

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from argosy.api.services import Services
from argosy.errors import Denied, Unauthenticated
from argosy.store.settle import Role

ROLES: tuple[Role, ...] = get_args(Role)
bearer = HTTPBearer(auto_error=False, description="A key made with `argosy keys make`.")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks."""

    key: str
    project: str
    role: Role

    @property
    def everywhere(self) -> bool:
        """Whether all projects are theirs to see."""
        return self.role == "admin"

    @property
    def scope(self) -> str | None:
        """The project that their view is limited to; None for all."""
        return None if self.everywhere else self.project

    def may(self, role: Role) -> bool:
        """Whether the role contains another."""
        return ROLES.index(self.role) >= ROLES.index(role)

    def chosen(self, project: str | None) -> str:
        """The project to write to: their own, or for admins the one they name. Denied otherwise."""
        if project is None or project == self.project:
            return self.project
        if not self.everywhere:
            raise Denied(f"this key belongs to the project {self.project}")
        return project

    def seen(self, project: str | None) -> str | None:
        """The project to read: None for all. Denied when another's is named."""
        return self.scope if project is None else self.chosen(project)


async def services(request: Request) -> Services:
    """What the application stands on."""
    found: Services = request.app.state.services
    return found


def caller(
    found: Annotated[Services, Depends(services)],
    given: Annotated[HTTPAuthorizationCredentials | None, Security(bearer)],
) -> Caller:
    """Who asks; Unauthenticated without a valid key."""
    if given is None:
        raise Unauthenticated("send a key: `Authorization: Bearer ...`; `argosy keys make` makes one")
    key = found.store.key(given.credentials)
    if key is None:
        raise Unauthenticated("this key is not valid, or was revoked")
    return Caller(key.id, key.project, key.role)


def need(role: Role) -> Callable[[Caller], Awaitable[Caller]]:
    """A dependency that lets only this role and those above it through."""

    async def check(who: Annotated[Caller, Depends(caller)]) -> Caller:
        if not who.may(role):
            raise Denied(f"this needs the role {role}; the key has {who.role}")
        return who

    return check


Found = Annotated[Services, Depends(services)]
Viewer = Annotated[Caller, Depends(need("viewer"))]
Submitter = Annotated[Caller, Depends(need("submitter"))]
Operator = Annotated[Caller, Depends(need("operator"))]
Admin = Annotated[Caller, Depends(need("admin"))]
