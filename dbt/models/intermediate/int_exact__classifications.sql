with recursive ranked_schemes as (

    select
        division,
        scheme_id,
        scheme_code,
        row_number() over (
            partition by division
            order by
                {% if var('scheme') %} (scheme_code = '{{ var('scheme') }}') desc, {% endif %}
                (upper(coalesce(scheme_code, '') || ' ' || coalesce(scheme_name, '')) like '%RGS%') desc,
                case when upper(coalesce(scheme_code, '') || ' ' || coalesce(scheme_name, '')) like '%RGS%' then scheme_code end desc,
                is_main desc,
                scheme_code
        ) as scheme_rank
    from {{ ref('stg_exact__gl_schemes') }}

),

tree as (

    select division, classification_id, classification_name as path, 1 as depth
    from {{ ref('stg_exact__gl_classifications') }}
    where parent_id is null
    union all
    select
        child.division,
        child.classification_id,
        tree.path || ' > ' || child.classification_name as path,
        tree.depth + 1 as depth
    from {{ ref('stg_exact__gl_classifications') }} as child
    inner join tree on tree.division = child.division and tree.classification_id = child.parent_id
    where tree.depth < 12

),

mappings as (

    select
        mappings.*,
        count(*) over (partition by mappings.division, mappings.gl_account_id) as mapping_count,
        row_number() over (
            partition by mappings.division, mappings.gl_account_id
            order by mappings.classification_code, mappings.mapping_id
        ) as mapping_number
    from {{ ref('stg_exact__gl_account_classification_mappings') }} as mappings
    inner join ranked_schemes
        on ranked_schemes.division = mappings.division
        and (ranked_schemes.scheme_id = mappings.scheme_id or ranked_schemes.scheme_code = mappings.scheme_code)
        and ranked_schemes.scheme_rank = 1

)

select
    mappings.division,
    mappings.gl_account_id,
    mappings.scheme_code,
    mappings.classification_code,
    mappings.classification_name,
    coalesce(tree.path, mappings.classification_name) as classification_path,
    mappings.mapping_count
from mappings
left join tree on tree.division = mappings.division and tree.classification_id = mappings.classification_id
where mappings.mapping_number = 1
