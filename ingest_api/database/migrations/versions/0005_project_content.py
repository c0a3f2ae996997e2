"""Which prompts and completions a project stores."""

from alembic import op

revision = "0005"
down_revision = "0004"

CONTENT = """
alter table app.projects add column content_policy text not null default 'events'
    check (content_policy in ('none', 'events', 'all'));
comment on column app.projects.content_policy is
    'prompts and completions: none, those that events carry, or those of OpenTelemetry spans too';
"""


def upgrade() -> None:
    """Add the column."""
    op.execute(CONTENT)


def downgrade() -> None:
    """Drop the column; projects then store what events carry."""
    op.execute("alter table app.projects drop column content_policy")
