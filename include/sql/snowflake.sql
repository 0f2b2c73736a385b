-- One published partition into Snowflake: replaced in one transaction. LAKE is an external stage on the target's bucket.
-- FORCE loads files again that were loaded before: a partition may come back with a file that it had.
CREATE TABLE IF NOT EXISTS ticket_triage (
    ticket_id VARCHAR,
    category VARCHAR,
    urgency NUMBER(19, 0),
    sentiment VARCHAR,
    summary VARCHAR,
    needs_human BOOLEAN,
    _request_id VARCHAR,
    _status VARCHAR,
    _error VARCHAR,
    _model VARCHAR,
    _stop_reason VARCHAR,
    _batch_id VARCHAR,
    _input_tokens NUMBER(19, 0),
    _output_tokens NUMBER(19, 0),
    _cost_usd FLOAT,
    dt DATE
);

BEGIN;
DELETE FROM ticket_triage WHERE dt = '2026-11-21';
COPY INTO ticket_triage (
    ticket_id, category, urgency, sentiment, summary, needs_human, _request_id, _status, _error, _model, _stop_reason,
    _batch_id, _input_tokens, _output_tokens, _cost_usd, dt
)
    FROM (
        SELECT
            $1:ticket_id::VARCHAR,
            $1:category::VARCHAR,
            $1:urgency::NUMBER(19, 0),
            $1:sentiment::VARCHAR,
            $1:summary::VARCHAR,
            $1:needs_human::BOOLEAN,
            $1:_request_id::VARCHAR,
            $1:_status::VARCHAR,
            $1:_error::VARCHAR,
            $1:_model::VARCHAR,
            $1:_stop_reason::VARCHAR,
            $1:_batch_id::VARCHAR,
            $1:_input_tokens::NUMBER(19, 0),
            $1:_output_tokens::NUMBER(19, 0),
            $1:_cost_usd::FLOAT,
            '2026-11-21'::DATE
        FROM '@lake/ticket_triage/dt=2026-11-21/'
    )
    PATTERN = '.*part-.*[.]parquet'
    FILE_FORMAT = (TYPE = PARQUET)
    FORCE = TRUE;
COMMIT;
