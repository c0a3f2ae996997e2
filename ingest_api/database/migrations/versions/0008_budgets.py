"""Budgets: what a project, or a part of its calls, may cost in a month."""

from alembic import op

revision = "0008"
down_revision = "0007"

STATEMENTS = """
create table app.budgets (
    budget_id uuid primary key default gen_random_uuid(),
    tenant_id uuid not null references app.tenants,
    project_id uuid references app.projects on delete cascade,
    name text not null,
    month_usd numeric(20, 6) not null check (month_usd > 0),
    valid_from date not null check (extract(day from valid_from) = 1),
    valid_to date check (extract(day from valid_to) = 1 and valid_to >= valid_from),
    provider_name text,
    model text,
    service_name text,
    user_id text,
    tag_key text,
    tag_value text,
    created_at timestamptz not null default now(),
    check ((tag_key is null) = (tag_value is null))
);
create index budgets_project on app.budgets (project_id);

comment on table app.budgets is
    'One row per budget. What it allows is never edited: it is ended, and a new one begins.';
comment on column app.budgets.project_id is 'Null: all projects of the tenant together';
comment on column app.budgets.month_usd is 'USD per calendar month, UTC';
comment on column app.budgets.valid_from is 'First day of the first month';
comment on column app.budgets.valid_to is
    'First day of the first month without it; null: no end is set';
comment on column app.budgets.provider_name is 'Only calls of this provider; null: all';
comment on column app.budgets.tag_key is
    'Only calls that carry this tag, which the project must have declared for its roll-ups';
"""


def upgrade() -> None:
    """Create the table of budgets."""
    op.execute(STATEMENTS)


def downgrade() -> None:
    """Drop the table of budgets."""
    op.execute("drop table app.budgets")
