"""Tables of the store. `migrations` makes them; a test holds the two equal.

Instants are text in ISO 8601 with microseconds and `Z`, of one length, so that they sort on every database. Columns of
a lease (owner, token, expiry, last sight) change with every heartbeat; they are not part of the state that events fold
to.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData()
ACTIVE = "status IN ('LEASED', 'PROVISIONING', 'RUNNING', 'UNREACHABLE', 'TERMINATING')"
OPEN = "status NOT IN ('SUCCEEDED', 'FAILED', 'CANCELLED')"

counters = Table(
    "counters",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", BigInteger, nullable=False),
)
facts = Table(
    "facts",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
events = Table(
    "events",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("at", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("job", Text),
    Column("run", Text),
    Column("body", JSON, nullable=False),
    Index("events_of_job", "job", "number"),
)
tasks = Table(
    "tasks",
    metadata,
    Column("hash", Text, primary_key=True),
    Column("task", JSON, nullable=False),
)
jobs = Table(
    "jobs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("serial", BigInteger, nullable=False, unique=True),
    Column("project", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("task_hash", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("cancel", Boolean, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("errors", Integer, nullable=False),
    Column("run", Text),
    Column("not_before", Text),
    Column("exit_code", Integer),
    Column("created_at", Text, nullable=False),
    Column("changed_at", Text, nullable=False),
    Column("finished_at", Text),
    Column("version", BigInteger, nullable=False),
    Index("jobs_of_project", "project", "serial"),
    Index("jobs_by_name", "project", "name", "serial"),
    Index("jobs_open", "serial", sqlite_where=text(OPEN), postgresql_where=text(OPEN)),
)
runs = Table(
    "runs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("job", Text, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("status", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("driver", Text, nullable=False),
    Column("pool", Text, nullable=False),
    Column("vendor", Text, nullable=False),
    Column("region", Text, nullable=False),
    Column("choice", Integer, nullable=False),
    Column("usd_per_hour", Float),
    Column("token", Text, nullable=False),
    Column("lease_owner", Text, nullable=False),
    Column("lease_expires_at", Text, nullable=False),
    Column("nodes", JSON, nullable=False),
    Column("seen_at", Text),
    Column("unreachable_since", Text),
    Column("created_at", Text, nullable=False),
    Column("started_at", Text),
    Column("finished_at", Text),
    Column("exit_code", Integer),
    Column("manifest_hash", Text),
    Column("resume_from", Text),
    Column("resume_region", Text),
    Column("resume_hash", Text),
    Column("resume_gib", Float),
    Column("resume_usd", Float),
    Column("resume_hours", Float),
    Column("moving_to", Text),
    Column("version", BigInteger, nullable=False),
    UniqueConstraint("job", "epoch", name="one_run_for_each_epoch"),
    Index("one_active_run_for_each_job", "job", unique=True, sqlite_where=text(ACTIVE), postgresql_where=text(ACTIVE)),
    Index("runs_active", "lease_expires_at", sqlite_where=text(ACTIVE), postgresql_where=text(ACTIVE)),
)
penalties = Table(
    "penalties",
    metadata,
    Column("location", Text, primary_key=True),
    Column("weight", Float, nullable=False),
    Column("at", Text, nullable=False),
)
cordons = Table(
    "cordons",
    metadata,
    Column("target", Text, primary_key=True),
    Column("drain", Boolean, nullable=False),
    Column("at", Text, nullable=False),
)
copies = Table(
    "copies",
    metadata,
    Column("id", Text, primary_key=True),
    Column("dataset", Text, nullable=False),
    Column("from_region", Text, nullable=False),
    Column("to_region", Text, nullable=False),
    Column("gib", Float, nullable=False),
    Column("usd", Float, nullable=False),
    Column("hours", Float, nullable=False),
    Column("status", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("not_before", Text),
    Column("readers", JSON, nullable=False),
    Column("decision", Text, nullable=False),
    Column("ordered_at", Text, nullable=False),
    Column("started_at", Text),
    Column("finished_at", Text),
    Column("charged_usd", Float),
    Column("checksum", Text),
    Column("version", BigInteger, nullable=False),
)
secrets = Table(
    "secrets",
    metadata,
    Column("job", Text, primary_key=True),
    Column("secret", JSON, nullable=False),
)
idempotency = Table(
    "idempotency",
    metadata,
    Column("project", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("request_hash", Text, nullable=False),
    Column("jobs", JSON, nullable=False),
    Column("at", Text, nullable=False),
)
decisions = Table(
    "decisions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("serial", BigInteger, nullable=False, unique=True),
    Column("at", Text, nullable=False),
    Column("placement", JSON, nullable=False),
)
keys = Table(
    "keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("digest", Text, nullable=False, unique=True),
    Column("project", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("revoked_at", Text),
)
leases = Table(
    "leases",
    metadata,
    Column("name", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("expires_at", Text, nullable=False),
)
