-- Trino (Hive connector) reads the target where it lies; the call finds partitions that are new, so run it each night.
-- Trino does not mind _SUCCESS: while a partition is being replaced, a query sees less of it.
CREATE TABLE IF NOT EXISTS hive.analytics.ticket_triage (
    ticket_id varchar,
    category varchar,
    urgency bigint,
    sentiment varchar,
    summary varchar,
    needs_human boolean,
    _request_id varchar,
    _status varchar,
    _error varchar,
    _model varchar,
    _stop_reason varchar,
    _batch_id varchar,
    _input_tokens bigint,
    _output_tokens bigint,
    _cost_usd double,
    dt date
)
WITH (
    format = 'PARQUET',
    external_location = 's3://lake/ticket_triage/',
    partitioned_by = ARRAY['dt']
);

CALL hive.system.sync_partition_metadata('analytics', 'ticket_triage', 'FULL');
