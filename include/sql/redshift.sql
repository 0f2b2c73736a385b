-- One published partition into Redshift: staged, then replaced in one transaction. The role must read the target.
-- COPY from Parquet goes by the order and the number of columns, not by names: the staging table has those of the files.
CREATE TABLE IF NOT EXISTS ticket_triage (
    ticket_id VARCHAR(256),
    category VARCHAR(64),
    urgency BIGINT,
    sentiment VARCHAR(64),
    summary VARCHAR(65535),
    needs_human BOOLEAN,
    _request_id VARCHAR(64),
    _status VARCHAR(32),
    _error VARCHAR(65535),
    _model VARCHAR(256),
    _stop_reason VARCHAR(64),
    _batch_id VARCHAR(256),
    _input_tokens BIGINT,
    _output_tokens BIGINT,
    _cost_usd DOUBLE PRECISION,
    dt DATE
);

BEGIN;
CREATE TEMP TABLE staged AS
SELECT
    ticket_id, category, urgency, sentiment, summary, needs_human, _request_id, _status, _error, _model, _stop_reason,
    _batch_id, _input_tokens, _output_tokens, _cost_usd
FROM ticket_triage
WHERE false;
COPY staged
    FROM 's3://lake/ticket_triage/dt=2026-11-21/part-'
    IAM_ROLE 'arn:aws:iam::123456789012:role/redshift-reads-lake'
    FORMAT AS PARQUET;
DELETE FROM ticket_triage WHERE dt = '2026-11-21';
INSERT INTO ticket_triage SELECT s.*, DATE '2026-11-21' FROM staged AS s;
DROP TABLE staged;
COMMIT;
