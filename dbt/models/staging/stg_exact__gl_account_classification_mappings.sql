with mappings as (

    {{ exact_rows(
        'gl_account_classification_mappings', integer=['Division'],
        text=['ID', 'GLAccount', 'Classification', 'ClassificationCode', 'ClassificationDescription', 'GLSchemeID', 'GLSchemeCode'],
    ) }}

)

select
    division,
    id as mapping_id,
    gl_account as gl_account_id,
    classification as classification_id,
    trim(classification_code) as classification_code,
    classification_description as classification_name,
    gl_scheme_id as scheme_id,
    trim(gl_scheme_code) as scheme_code
from mappings
