"""The Dagster code location: loading, pricing, transforming, checking, reporting."""
