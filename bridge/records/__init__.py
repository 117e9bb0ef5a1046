"""Call records in SQL: what is kept of calls when they are over, and what of those that a crash cut short.

Calls tell `observer`; it hands rows to `writer`, whose thread alone writes to the database, beside the calls and never
in their way. `reading` is for the operator API, the webhook and the export. `docs/records.md` is what an operator
reads.
"""
