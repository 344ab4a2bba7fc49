"""Control: one tick. Observe the world, place, carry out, book. The only sentence that joins verbs."""

from argosy.control.keeper import Keeper
from argosy.control.tick import Book, Hands, Observer, Tick, tick

__all__ = ["Book", "Hands", "Keeper", "Observer", "Tick", "tick"]
