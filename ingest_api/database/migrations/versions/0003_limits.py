"""Limits of keys and projects. Null means none."""

from alembic import op

revision = "0003"
down_revision = "0002"

LIMITS = """
alter table app.api_keys
    add column max_events_per_second int check (max_events_per_second > 0),
    add column max_burst_events int check (max_burst_events > 0);
comment on column app.api_keys.max_burst_events is
    'events that may come at once; null means one second''s worth';
alter table app.projects
    add column max_events_per_day bigint check (max_events_per_day > 0);
comment on column app.projects.max_events_per_day is 'a day begins at 00:00 UTC';
"""


def upgrade() -> None:
    """Add the columns."""
    op.execute(LIMITS)


def downgrade() -> None:
    """Drop the columns; the keys then have no limits."""
    op.execute(
        """alter table app.projects drop column max_events_per_day;
           alter table app.api_keys drop column max_events_per_second,
               drop column max_burst_events"""
    )
