"""Open dead letters are found without a look at the settled ones."""

from alembic import op

revision = "0004"
down_revision = "0003"

INDEX = """
create index dead_letters_open on raw.dead_letters (dead_letter_id)
    where replayed_at is null and discarded_at is null
"""


def upgrade() -> None:
    """Create the index."""
    op.execute(INDEX)


def downgrade() -> None:
    """Drop the index."""
    op.execute("drop index raw.dead_letters_open")
