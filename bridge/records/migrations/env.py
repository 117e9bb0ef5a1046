"""How alembic runs the migrations: on the connection it is given, inside its transaction."""

from __future__ import annotations

from alembic import context

from bridge.records.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
