-- One published partition into Snowflake: replaced in one transaction. LAKE is an external stage on the target's bucket.
-- MATCH_BY_COLUMN_NAME leaves columns that the table lacks; ENABLE_SCHEMA_EVOLUTION adds them.
CREATE TABLE IF NOT EXISTS ticket_triage ENABLE_SCHEMA_EVOLUTION = TRUE USING TEMPLATE (
    SELECT ARRAY_AGG(OBJECT_CONSTRUCT(*))
    FROM TABLE(INFER_SCHEMA(LOCATION => '@lake/ticket_triage/', FILE_FORMAT => 'parquet_files'))
);
ALTER TABLE ticket_triage ADD COLUMN IF NOT EXISTS dt DATE;

BEGIN;
DELETE FROM ticket_triage WHERE dt = '2026-11-21' OR dt IS NULL;
COPY INTO ticket_triage
    FROM '@lake/ticket_triage/dt=2026-11-21/'
    PATTERN = '.*part-.*[.]parquet'
    FILE_FORMAT = (FORMAT_NAME = 'parquet_files')
    MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE
    FORCE = TRUE;
UPDATE ticket_triage SET dt = '2026-11-21' WHERE dt IS NULL;
COMMIT;
