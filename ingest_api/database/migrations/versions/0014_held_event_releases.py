"""Releases of events that the marts hold back."""

from alembic import op

revision = "0014"
down_revision = "0013"

STATEMENTS = """
create table app.held_event_releases (
    project_id uuid not null,
    event_id uuid not null,
    started_at timestamptz not null,
    reason text not null,
    released_by text not null,
    released_at timestamptz not null default now(),
    primary key (project_id, started_at, event_id)
);
create index held_event_releases_released_at on app.held_event_releases (released_at);

comment on table app.held_event_releases is
    'One row per event that an operator lets into the marts although it breaks a rule.';
comment on column app.held_event_releases.started_at is
    'With project and event id, the key of the raw row';
comment on column app.held_event_releases.released_at is 'When that was decided';
comment on column app.held_event_releases.reason is 'Why its figures are right, or right enough';
comment on column app.held_event_releases.released_by is 'Who decided that';
"""


def upgrade() -> None:
    """Create the table."""
    op.execute(STATEMENTS)


def downgrade() -> None:
    """Drop the table."""
    op.execute("drop table app.held_event_releases")
