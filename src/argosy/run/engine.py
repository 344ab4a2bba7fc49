"""Which drivers exist, and how one is made from its settings.

A driver is one file in `drivers/` with a record `Settings`, whose `kind` is the file name, and a class `Driver`, made
from such settings and a clock. `control` opens those that the server was told of.
"""

from __future__ import annotations

import importlib
from typing import Annotated, cast

from argosy import kinds
from argosy.clock import Clock
from argosy.record import Record
from argosy.run.driver import Driver

PACKAGE = "argosy.run.drivers"

AnySettings = Annotated[Record, kinds.Kinds(PACKAGE, "Settings")]
"""Settings of any driver, told apart by `kind`: a type of field for records that hold some."""


def names() -> tuple[str, ...]:
    """The drivers that there are."""
    return tuple(kinds.load(PACKAGE, "Settings"))


def open_driver(settings: Record, clock: Clock) -> Driver:
    """The driver for these settings. OutsideError when its engine or its folder cannot be reached at all."""
    module = importlib.import_module(type(settings).__module__)
    return cast(Driver, module.Driver(settings, clock))
