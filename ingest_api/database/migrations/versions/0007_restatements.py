"""Requests to price calls anew, and the tags that a project rolls up."""

from alembic import op

revision = "0007"
down_revision = "0006"

STATEMENTS = """
create table app.cost_restatements (
    restatement_id uuid primary key default gen_random_uuid(),
    tenant_id uuid references app.tenants on delete cascade,
    project_id uuid references app.projects on delete cascade,
    period_start timestamptz not null,
    period_end timestamptz not null check (period_end > period_start),
    provider_name text,
    model text,
    reason text not null check (reason <> ''),
    requested_by text not null check (requested_by <> ''),
    requested_at timestamptz not null unique
);
create trigger cost_restatements_are_never_edited before update on app.cost_restatements
    for each row execute function pricing.refuse_edit();
comment on table app.cost_restatements is
    'One row per request to price calls anew, with the prices known when it was made. It covers '
    'the calls that were loaded before and that started in its period; null means all tenants, '
    'projects, providers or models.';
comment on column app.cost_restatements.requested_at is
    'stamped under the load lock, shared: a build that begins later sees the request. Calls that '
    'were priced by it carry it as priced_as_of';

alter table app.projects
    add column rollup_tags text[] not null default '{}',
    add column rollup_tags_changed_at timestamptz not null default '-infinity';
comment on column app.projects.rollup_tags is
    'keys of the tags by which the attributed roll-ups split usage and cost';
comment on column app.projects.rollup_tags_changed_at is
    'the next build makes the attributed roll-ups of the project anew';
"""


def upgrade() -> None:
    """Create the table and the columns."""
    op.execute(STATEMENTS)


def downgrade() -> None:
    """Refuse: going back would drop the reasons of restated costs."""
    raise NotImplementedError("restatements have no way back: restore a backup instead")
