{#- How loaders name what Exact calls GLAccountCode: dlt gl_account_code, PyAirbyte glaccountcode, others as it is. -#}

{#- The name without case and underscores, by which columns are found whoever loaded them. -#}
{% macro bare_name(name) %}{{ return(name | lower | replace('_', '')) }}{% endmacro %}

{#- The name in the models: dlt's, AmountDC is amount_dc. -#}
{% macro snake_name(name) -%}
    {%- set words = modules.re.sub('([^_])([A-Z][a-z]+)', '\\1_\\2', name) -%}
    {{ return(modules.re.sub('([a-z0-9])([A-Z])', '\\1_\\2', words) | lower) }}
{%- endmacro %}

{#- The loaded table of a stream: its columns by bare name; nothing where the stream was not loaded. -#}
{% macro loaded_columns(stream) %}
    {%- set found = {} -%}
    {%- if execute -%}
        {%- set named = source('exact_online', stream) -%}
        {%- set table = adapter.get_relation(named.database, named.schema, named.identifier) -%}
        {%- if table is not none -%}
            {%- for column in adapter.get_columns_in_relation(table) -%}
                {%- do found.update({exact_online.bare_name(column.name): column}) -%}
            {%- endfor -%}
        {%- endif -%}
    {%- endif -%}
    {{ return(found) }}
{% endmacro %}

{#- A column as an instant with zone. Loaders that have no zone write UTC. -#}
{% macro as_instant(column) -%}
    {%- if 'with time zone' in column.data_type | lower or 'timestamptz' in column.data_type | lower -%}
        {{ column.quoted }}
    {%- else -%}
        cast({{ column.quoted }} as timestamp) at time zone 'UTC'
    {%- endif -%}
{%- endmacro %}

{#- When a row was read, as the loader noted it: _read_at of `load`, _airbyte_extracted_at of Airbyte. -#}
{% macro loaded_at(found) -%}
    {%- if 'readat' in found -%}
        {{ exact_online.as_instant(found['readat']) }}
    {%- elif 'airbyteextractedat' in found -%}
        {{ exact_online.as_instant(found['airbyteextractedat']) }}
    {%- else -%}
        cast(null as timestamp with time zone)
    {%- endif -%}
{%- endmacro %}

{#-
    Lets a run or build fail where a table is not there that the statements cannot do without: they would be empty, and all
    checks pass. With --empty, which makes the models for unit tests, nothing need be loaded.
-#}
{% macro miss_table(stream) %}
    {%- if execute and flags.WHICH in ('run', 'build') and not flags.EMPTY -%}
        {%- set named = source('exact_online', stream) -%}
        {%- do exceptions.raise_compiler_error(
            'There is no table ' ~ named.identifier ~ ' in the schema ' ~ named.schema ~ ' of the database ' ~ named.database
            ~ ', and the models need it. Load the stream ' ~ stream ~ ' into this database first, as with source-exact-online load. '
            ~ 'Where the loader named the schema differently, say so: --vars \'{exact_schema: name}\''
        ) -%}
    {%- endif -%}
{% endmacro %}

{#-
    The rows of a stream: the latest version of each key, deleted ones left out, with the columns of the models' names
    and types. Columns that were not loaded are null; a stream that was not loaded has no rows; a run fails without one that is `needed`.

    Args:
        stream: name of the connector's stream.
        keys: Exact's names of the columns that make a row unique.
        named_key: of headers, Exact's name of the key that their lines refer to. It stands in for the first of `keys` where that
            is null, as `full_columns` reads headers without ID. A tombstone in turn has an ID alone.
        needed: whether the models are of no use without the stream.
        text, integer, number, amount, date, boolean: Exact's names of the columns to give, by type. An amount is rounded to
            cents, as Exact sends amounts as floating point numbers.
-#}
{% macro exact_rows(
    stream, keys=['ID', 'Division'], named_key=none, needed=false, text=[], integer=[], number=[], amount=[], date=[], boolean=[]
) %}
    {%- set found = exact_online.loaded_columns(stream) -%}
    {%- set types = [
        (text, 'text'), (integer, 'bigint'), (number, 'decimal(28, 10)'),
        (amount, 'decimal(18, 2)'), (date, 'date'), (boolean, 'boolean'),
    ] -%}
    {%- set names = [] -%}
    {%- set values = [] -%}
    {%- for columns, type in types -%}
        {%- for name in columns -%}
            {%- set column = found.get(exact_online.bare_name(name)) -%}
            {%- set value = column.quoted if column else 'null' -%}
            {%- if type == 'decimal(18, 2)' -%}{%- set value = 'round(cast(' ~ value ~ ' as decimal(28, 10)), 2)' -%}{%- endif -%}
            {%- do names.append(exact_online.snake_name(name)) -%}
            {%- do values.append('cast(' ~ value ~ ' as ' ~ type ~ ') as ' ~ exact_online.snake_name(name)) -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- if not found -%}
    {%- if needed -%}{%- do exact_online.miss_table(stream) -%}{%- endif -%}
    select
        {{ values | join(',\n        ') }},
        cast(null as timestamp with time zone) as modified_at,
        cast(null as timestamp with time zone) as loaded_at
    where false
    {%- else -%}
    {%- set key_columns = [] -%}
    {%- for key in keys -%}
        {%- set parts = [] -%}
        {%- for name in ([key, named_key] if loop.first and named_key else [key]) -%}
            {%- if exact_online.bare_name(name) in found -%}
                {%- do parts.append(found[exact_online.bare_name(name)].quoted) -%}
            {%- endif -%}
        {%- endfor -%}
        {%- if parts -%}{%- do key_columns.append('coalesce(' ~ parts | join(', ') ~ ')') -%}{%- endif -%}
    {%- endfor -%}
    {%- set modified = exact_online.as_instant(found['modified']) if 'modified' in found else 'cast(null as timestamp with time zone)' -%}
    {%- set deleted = found['abcdcdeletedat'].quoted ~ ' is not null' if 'abcdcdeletedat' in found else 'false' -%}
    select {{ names | join(', ') }}, modified_at, loaded_at
    from (
        select
            {{ values | join(',\n            ') }},
            {{ modified }} as modified_at,
            {{ exact_online.loaded_at(found) }} as loaded_at,
            {{ deleted }} as is_deleted,
            row_number() over (
                partition by {{ key_columns | join(', ') }}
                order by {{ exact_online.loaded_at(found) }} desc nulls last, {{ modified }} desc nulls last, {{ deleted }} desc
            ) as version_number
        from {{ source('exact_online', stream) }}
    ) as versions
    where version_number = 1 and not is_deleted
    {%- endif -%}
{% endmacro %}
