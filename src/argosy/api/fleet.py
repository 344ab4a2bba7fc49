"""Fleet: capacity, cordons, decisions and keys."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.responses import Response

from argosy.api.access import Admin, Found, Operator, Viewer
from argosy.api.jobs import MAX_SERIAL
from argosy.api.services import Services
from argosy.api.views import (
    Cordon,
    DecisionPage,
    DecisionView,
    DriverPool,
    Fleet,
    KeyPage,
    KeyView,
    MadeKey,
    NewKey,
)
from argosy.api.web import PROBLEMS, sent

router = APIRouter(responses=PROBLEMS)


@router.get("/v1/fleet", responses={200: {"model": Fleet}})
def get_fleet(found: Found, who: Viewer) -> Response:
    """Pools with their nodes as they were last seen, and what is cordoned."""
    pools = () if found.live is None else tuple(DriverPool(driver=d, pool=pool) for d, pool in found.live.fleet())
    return sent(Fleet(pools=pools, cordons=_cordons(found)))


@router.post("/v1/fleet/cordons", status_code=201, responses={201: {"model": Cordon}})
def cordon(body: Cordon, found: Found, who: Operator) -> Response:
    """Let nothing new start on a vendor, region, pool or node; with `drain` what runs there is moved away too."""
    found.store.cordon(body.target, drain=body.drain)
    return sent(body, 201)


@router.delete("/v1/fleet/cordons", responses={200: {"model": Fleet}})
def uncordon(
    found: Found, who: Operator, target: Annotated[str, Query(min_length=1, max_length=200, description="What.")]
) -> Response:
    """Let new work start there again."""
    found.store.uncordon(target)
    return sent(Fleet(pools=(), cordons=_cordons(found)))


@router.get("/v1/placements", responses={200: {"model": DecisionPage}})
def list_placements(
    found: Found,
    who: Operator,
    limit: Annotated[int, Query(ge=1, le=100, description="Most decisions of a page.")] = 20,
    before: Annotated[int | None, Query(ge=1, le=MAX_SERIAL, description="`next` of the page before.")] = None,
) -> Response:
    """Decisions of all projects with prices, runners-up and reasons, newest first."""
    rows = found.store.decisions(limit=limit, before=before)
    views = (DecisionView(id=d.id, at=d.at, placement=d.placement) for d in rows)
    more = str(rows[-1].serial) if len(rows) == limit else None
    return sent(DecisionPage(placements=tuple(views), next=more))


@router.get("/v1/keys", responses={200: {"model": KeyPage}})
def list_keys(found: Found, who: Admin) -> Response:
    """All keys, without their secrets."""
    made = found.store.keys()
    views = (KeyView(id=k.id, project=k.project, role=k.role, revoked_at=k.revoked_at) for k in made)
    return sent(KeyPage(keys=tuple(views)))


@router.post("/v1/keys", status_code=201, responses={201: {"model": MadeKey}})
def make_key(body: NewKey, found: Found, who: Admin) -> Response:
    """Make a key. Its secret is in this answer and nowhere else."""
    name, secret = found.store.make_key(body.project, body.role)
    return sent(MadeKey(id=name, project=body.project, role=body.role, secret=secret), 201)


@router.delete("/v1/keys/{key}", responses={200: {"model": KeyPage}})
def revoke_key(
    key: Annotated[str, Path(max_length=100, description="Id of the key.")], found: Found, who: Admin
) -> Response:
    """End a key at once."""
    found.store.revoke(key)
    return list_keys(found, who)


def _cordons(found: Services) -> tuple[Cordon, ...]:
    return tuple(Cordon(target=target, drain=drain) for target, drain in found.store.cordons().items())
