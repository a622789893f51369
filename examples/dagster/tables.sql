-- Run once, by the role that loads: psql "$WAREHOUSE_URL" -f tables.sql
CREATE TABLE IF NOT EXISTS exact_records (
    stream text, division integer, key jsonb, data jsonb NOT NULL, PRIMARY KEY (stream, division, key));
CREATE TABLE IF NOT EXISTS exact_states (
    stream text, division integer, state jsonb NOT NULL, PRIMARY KEY (stream, division));
