"""Migrations of the call records, run by alembic at start: `bridge.records.database.migrate`."""
