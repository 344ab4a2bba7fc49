"""How Alembic reaches the store: through the connection that `store.engine.migrate` hands over."""

from alembic import context

from argosy.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
