"""When each mart was last changed, in one small table."""

from alembic import op

revision = "0013"
down_revision = "0012"

STATEMENTS = """
create table app.mart_stamps (
    mart text primary key,
    refreshed_at timestamptz not null
);

comment on table app.mart_stamps is
    'One row per mart that builds have changed: answers kept outside the database depend on it.';
comment on column app.mart_stamps.mart is 'Its name in the schema marts';
comment on column app.mart_stamps.refreshed_at is
    'Newest stamp of its rows, written in the transaction that wrote them';
"""


def upgrade() -> None:
    """Create the table of stamps; the next build fills it."""
    op.execute(STATEMENTS)


def downgrade() -> None:
    """Drop the table of stamps."""
    op.execute("drop table app.mart_stamps")
