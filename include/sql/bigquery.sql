-- One published partition into BigQuery, from a bucket it can read (Cloud Storage, or S3 by a connection): staged, then
-- replaced in one transaction. The staging table takes the columns of the files.
CREATE TABLE IF NOT EXISTS analytics.ticket_triage (
    ticket_id STRING,
    category STRING,
    urgency INT64,
    sentiment STRING,
    summary STRING,
    needs_human BOOL,
    _request_id STRING,
    _status STRING,
    _error STRING,
    _model STRING,
    _stop_reason STRING,
    _batch_id STRING,
    _input_tokens INT64,
    _output_tokens INT64,
    _cost_usd FLOAT64,
    dt DATE
)
PARTITION BY dt;

LOAD DATA OVERWRITE analytics.ticket_triage_staged
FROM FILES (
    format = 'PARQUET',
    uris = ['gs://lake/ticket_triage/dt=2026-11-21/part-*.parquet']
);

BEGIN TRANSACTION;
DELETE FROM analytics.ticket_triage WHERE dt = DATE '2026-11-21';
INSERT INTO analytics.ticket_triage (
    ticket_id, category, urgency, sentiment, summary, needs_human, _request_id, _status, _error, _model, _stop_reason,
    _batch_id, _input_tokens, _output_tokens, _cost_usd, dt
)
SELECT
    ticket_id, category, urgency, sentiment, summary, needs_human, _request_id, _status, _error, _model, _stop_reason,
    _batch_id, _input_tokens, _output_tokens, _cost_usd, DATE '2026-11-21'
FROM analytics.ticket_triage_staged;
COMMIT TRANSACTION;
