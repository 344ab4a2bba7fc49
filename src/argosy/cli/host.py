"""Host: a whole server in this process: store, drivers, control loop and interface over one data folder.

`argosy up` holds one until it is told to end; other verbs hold one for as long as they need it. The caller holds the
folder's lock. Nothing of it must be imported before it is known that a server is needed.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from pathlib import Path

from argosy import __version__
from argosy.api import Services, make_app
from argosy.api.engines import Engines
from argosy.api.journal import end, write_to
from argosy.api.serve import HttpServer, require_keys
from argosy.api.traces import JobSpans, to_endpoint
from argosy.cli.data_folder import DataFolder
from argosy.cli.server_file import ServerFile, read_server_file
from argosy.clock import SystemClock, unguessable
from argosy.control.loop import Control
from argosy.control.retention import Cleaner
from argosy.control.service import Service
from argosy.errors import BadInput
from argosy.record import Record
from argosy.run.driver import Driver, Keeps
from argosy.run.drivers.local import Settings as LocalSettings
from argosy.run.engine import open_driver
from argosy.store import Store, file_address

PROJECT = "main"
IDLE_SECONDS = 0.5
# What work of this machine may need of our own environment; everything else stays here.
PASSED_ON = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "TZ", "TMPDIR", "VIRTUAL_ENV")


class Host:
    """A server."""

    def __init__(
        self,
        folder: DataFolder,
        *,
        address: tuple[str, int] = ("127.0.0.1", 0),
        store: str | None = None,
        file: ServerFile | None = None,
        traces: str | None = None,
        lasting: bool = False,
    ) -> None:
        self.folder, self.lasting = folder, lasting
        file = file or ServerFile()
        self.clock = clock = SystemClock()
        self.log = write_to(folder.log)
        self.store = Store(store or file_address(folder.store), clock)
        self.key = self._own_key()
        known = self.store.keys()
        require_keys(address[0], sum(key.revoked_at is None for key in known) - 1)
        # Machines made from one image may have one name and one path; what they do not have is one replica's file.
        replica = folder.replica(unguessable(6))
        owner = f"{platform.node() or 'localhost'}-{replica}"
        self.drivers = self._drivers(file, replica, shared=store is not None)
        control = Control(
            self.store,
            self.drivers,
            owner=owner,
            clock=clock,
            rules=file.rules,
            world=file.world(),
            copier=file.copier(),
        )
        self.traces = to_endpoint(traces, __version__)
        if self.traces.tracer is not None:
            spans = JobSpans(self.traces, self.store)
            look = self.traces.around("look", control.look)
            control.look = spans.after(look, lambda: self.service.health.leads)  # type: ignore[method-assign]
        self.service = Service(control, idle_seconds=IDLE_SECONDS)
        self.cleaner = Cleaner(self.store, self.drivers, file.retention, clock)
        services = Services(self.store, clock, Engines(self.service), projects=folder.projects, traces=self.traces)
        self.http = HttpServer(make_app(services), *address)
        self.address = self.http.address

    def start(self) -> None:
        """Begin to answer, to look, and to be found."""
        self.http.start()
        self.service.start()
        self.cleaner.start(lambda: self.service.health.leads)
        self.folder.announce(self.address, lasting=self.lasting)

    def close(self) -> None:
        """End. Runs go on; the next server finds them."""
        self.folder.withdraw()
        self.http.stop()
        self.cleaner.stop()
        self.service.stop()
        for driver in self.drivers.values():
            driver.close()
        self.traces.close()
        self.store.close()
        end(self.log)

    def _drivers(self, file: ServerFile, replica: str, *, shared: bool) -> dict[str, Driver]:
        """The engines by the names that runs remember. A name means one folder of runs to all servers of a store.

        What one folder does not have may well run in the other, so a run must never be looked for in the wrong one.
        """
        opened: dict[str, Driver] = {}
        for name, wanted in (file.drivers or {"local": local_settings(self.folder.runs, os.environ)}).items():
            driver = open_driver(_placed(wanted, self.folder.path), self.clock)
            called = name
            if isinstance(driver, Keeps) and self.store.engine_of(name, mine := driver.folder_id()) != mine:
                runs = [run.id for run in self.store.active_runs() if run.driver == name]
                if not shared and not (file.drivers and runs):
                    self.store.engine_of(name, mine, anew=True)
                elif not file.drivers:
                    called = f"{name}-{replica}"
                else:
                    what = f"has {', '.join(runs[:3])} in another folder" if runs else "is another server's folder"
                    message = f"to this store {name!r} {what}; give this folder a name of its own"
                    raise BadInput([file.problem(("drivers", name), "driver.taken", message, key=True)])
            opened[called] = driver
        return opened

    def _own_key(self) -> str:
        """The key of the folder's owner, an admin's; made anew where it is lost or was revoked."""
        secret = self.folder.key()
        if secret is None or self.store.key(secret) is None:
            _, secret = self.store.make_key(PROJECT, "admin")
            self.folder.keep_key(secret)
        return secret


def resumed(folder: DataFolder) -> Host:
    """A server on loopback with the store and the engines that `argosy up` last had on this folder."""
    store, config = folder.choices()
    return Host(folder, store=store, file=None if config is None else read_server_file(Path(config)))


def _placed(settings: Record, data: Path) -> Record:
    """Settings whose folder of runs, if relative, lies in the data folder."""
    runs = getattr(settings, "folder", None)
    return settings if runs is None else settings.model_copy(update={"folder": str(data / runs)})


def local_settings(runs: Path, environment: Mapping[str, str]) -> LocalSettings:
    """This machine as the only engine."""
    passed = {name: environment[name] for name in PASSED_ON if name in environment}
    return LocalSettings(folder=str(runs), environment=passed)
