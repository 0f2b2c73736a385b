-- Athena or Trino (Hive connector) read the target where it lies: an external table, a partition a night.
CREATE EXTERNAL TABLE IF NOT EXISTS ticket_triage (
    ticket_id string,
    category string,
    urgency bigint,
    sentiment string,
    summary string,
    needs_human boolean,
    `_request_id` string,
    `_status` string,
    `_error` string,
    `_model` string,
    `_stop_reason` string,
    `_batch_id` string,
    `_input_tokens` bigint,
    `_output_tokens` bigint,
    `_cost_usd` double
)
PARTITIONED BY (dt string)
STORED AS PARQUET
LOCATION 's3://lake/ticket_triage/'
TBLPROPERTIES (
    'projection.enabled' = 'true',
    'projection.dt.type' = 'date',
    'projection.dt.format' = 'yyyy-MM-dd',
    'projection.dt.range' = '2026-01-01,NOW',
    'storage.location.template' = 's3://lake/ticket_triage/dt=${dt}/'
);
