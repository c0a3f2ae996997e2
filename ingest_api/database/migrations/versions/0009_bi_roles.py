"""Read access for analysts: who they are, whose rows they see, and how a relation is shared.

A role that analysts log in with belongs to the group `llmscope_bi` and has its tenant in
`app.bi_users`. Nothing is theirs until `app.share_with_bi` has given it a policy, so that a
relation that nobody thought of stays closed.
"""

from alembic import op

revision = "0009"
down_revision = "0008"

BI_ROLES = """
create table app.bi_users (
    role_name name primary key,
    tenant_id uuid not null references app.tenants (tenant_id),
    created_at timestamptz not null default now()
);
comment on table app.bi_users is 'One row per role that analysts log in with, and its tenant.';

-- By the role that logged in: SET ROLE and SET change the current role and settings, never this.
create function app.bi_tenant() returns uuid
    language sql stable parallel safe security definer set search_path = '' as
    $$ select tenant_id from app.bi_users where role_name = session_user $$;
comment on function app.bi_tenant() is 'The tenant of the analyst who asks; null for others.';

-- Found by name and not as a regclass: an analyst may not look into the schema `app`.
create function app.sees_all_tenants() returns boolean
    language sql stable parallel safe set search_path = pg_catalog as $$
    select pg_has_role(current_user, c.relowner, 'usage')
    from pg_class as c
    join pg_namespace as n on n.oid = c.relnamespace
    where n.nspname = 'app' and c.relname = 'bi_users'
$$;
comment on function app.sees_all_tenants() is 'Whether the platform asks, which owns the tables.';

create function app.share_with_bi(shared regclass, with_rows_of_nobody boolean default false)
    returns boolean language plpgsql set search_path = pg_catalog as $$
declare
    kind "char";
    options text[];
    schema_name text;
    policy_name text := case when with_rows_of_nobody then 'llmscope_bi_or_nobody'
        else 'llmscope_bi' end;
begin
    select c.relkind, c.reloptions, n.nspname into kind, options, schema_name
    from pg_class as c
    join pg_namespace as n on n.oid = c.relnamespace
    join pg_attribute as a on a.attrelid = c.oid and a.attname = 'tenant_id'
    where c.oid = shared and not a.attisdropped;
    if not found or to_regrole('llmscope_bi') is null then
        return false;
    end if;
    if kind in ('r', 'p') and not exists (
        select from pg_policy join pg_class as c on c.oid = polrelid
        where polrelid = shared and polname = policy_name and c.relrowsecurity
    ) then
        execute format('alter table %s enable row level security', shared);
        execute format('drop policy if exists llmscope_bi on %s', shared);
        execute format('drop policy if exists llmscope_bi_or_nobody on %s', shared);
        execute format(
            'create policy %I on %s for select to llmscope_bi '
            'using (tenant_id = (select app.bi_tenant())%s)',
            policy_name, shared, case when with_rows_of_nobody then ' or tenant_id is null' else ''
            end
        );
    elsif kind not in ('r', 'p') and not (
        kind = 'v' and 'security_barrier=true' = any (coalesce(options, '{}'))
    ) then
        return false;
    end if;
    if not has_table_privilege('llmscope_bi', shared, 'select') then
        execute format('grant select on %s to llmscope_bi', shared);
    end if;
    if not has_schema_privilege('llmscope_bi', schema_name, 'usage') then
        execute format('grant usage on schema %I to llmscope_bi', schema_name);
    end if;
    return true;
end
$$;
comment on function app.share_with_bi(regclass, boolean) is
    'Let analysts read a table by a policy, or a view that filters itself; false where it stays '
    'closed: it has no tenant_id, or the role llmscope_bi does not exist.';

-- For what was built before the role existed. Prices of no tenant are everyone's.
create function app.share_all_with_bi() returns int language plpgsql as $$
declare
    relation record;
    shared_count int := 0;
begin
    for relation in
        select c.oid::regclass as name, n.nspname = 'pricing' as is_pricing
        from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
        where n.nspname in ('marts', 'reports', 'pricing') and c.relkind in ('r', 'p', 'v')
    loop
        shared_count := shared_count
            + app.share_with_bi(relation.name, relation.is_pricing)::int;
    end loop;
    return shared_count;
end
$$;

do $$
begin
    create role llmscope_bi nologin;
exception
    when duplicate_object then null;
    when insufficient_privilege then
        raise notice 'the role llmscope_bi was not made: this user may not create roles';
end
$$;
select app.share_with_bi('pricing.model_prices', true);
"""


def upgrade() -> None:
    """Create the functions, and the role where this user may."""
    op.execute(BI_ROLES)


def downgrade() -> None:
    """Refuse: policies of relations that dbt has built stand on the functions."""
    raise NotImplementedError("analysts' access has no way back: drop their roles instead")
