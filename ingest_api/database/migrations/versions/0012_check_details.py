"""What a check found in detail, so that quality over time is a report."""

from alembic import op

revision = "0012"
down_revision = "0011"

STATEMENTS = """
alter table app.check_results
    add column checked_count bigint,
    add column failed_ratio double precision not null default 0,
    add column sample_ids text[] not null default '{}',
    add column failed_by_project jsonb not null default '{}',
    add column run_id text;
create index check_results_check on app.check_results (asset_key, check_name, checked_at desc);

comment on table app.check_results is
    'One row per check and run of it; kept for a month. Ids and counts only, no content.';
comment on column app.check_results.check_name is 'The truth that the check asserts';
comment on column app.check_results.severity is 'error: figures are wrong; warn: they are in doubt';
comment on column app.check_results.checked_count is
    'Rows that were looked at; null where the check is about no rows';
comment on column app.check_results.failed_count is 'Rows that break the rule';
comment on column app.check_results.failed_ratio is 'Their share, 0 to 1';
comment on column app.check_results.sample_ids is
    'Ids of some of them: of events, unless the description says otherwise';
comment on column app.check_results.failed_by_project is
    'How many of them belong to which project, of the projects with the most';
comment on column app.check_results.run_id is 'The Dagster run; null for what a sensor found';
"""


def upgrade() -> None:
    """Add the columns."""
    op.execute(STATEMENTS)


def downgrade() -> None:
    """Drop the columns."""
    op.execute("""
        drop index app.check_results_check;
        alter table app.check_results
            drop column checked_count, drop column failed_ratio, drop column sample_ids,
            drop column failed_by_project, drop column run_id
    """)
