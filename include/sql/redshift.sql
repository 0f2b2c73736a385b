-- One published partition into Redshift: staged, then replaced in one transaction. The role must read the target.
-- COPY from Parquet goes by the order of the columns: keep the staging table in the order of the files.
BEGIN;
CREATE TEMP TABLE staged (LIKE ticket_triage_columns);
COPY staged
    FROM 's3://lake/ticket_triage/dt=2026-11-21/part-'
    IAM_ROLE 'arn:aws:iam::123456789012:role/redshift-reads-lake'
    FORMAT AS PARQUET;
DELETE FROM ticket_triage WHERE dt = '2026-11-21';
INSERT INTO ticket_triage SELECT s.*, DATE '2026-11-21' FROM staged AS s;
COMMIT;
