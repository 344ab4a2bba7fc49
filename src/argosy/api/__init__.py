"""Api: the HTTP interface. It only translates.

`make_app(services)` gives an ASGI application over a store and, where one runs in this process, the control loop;
`serve` binds it to an address. Errors are problem details with our codes, mapped once in `problem`.
"""

from argosy.api.app import make_app
from argosy.api.services import Live, Services

__all__ = ["Live", "Services", "make_app"]
