-- Athena reads the target where it lies: an external table whose partitions are computed from the date, none is added.
-- Athena does not mind _SUCCESS: while a partition is being replaced, a query sees less of it.
CREATE EXTERNAL TABLE IF NOT EXISTS ticket_triage (
    `ticket_id` string,
    `category` string,
    `urgency` bigint,
    `sentiment` string,
    `summary` string,
    `needs_human` boolean,
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
PARTITIONED BY (`dt` string)
STORED AS PARQUET
LOCATION 's3://lake/ticket_triage/'
TBLPROPERTIES (
    'projection.enabled' = 'true',
    'projection.dt.type' = 'date',
    'projection.dt.format' = 'yyyy-MM-dd',
    'projection.dt.range' = '2026-01-01,NOW',
    'projection.dt.interval' = '1',
    'projection.dt.interval.unit' = 'DAYS',
    'storage.location.template' = 's3://lake/ticket_triage/dt=${dt}/'
);
