-- One published partition into BigQuery, from a bucket it can read (Cloud Storage, or S3 through BigQuery Omni).
-- LOAD DATA OVERWRITE … PARTITIONS replaces the partition atomically; new columns are added by the load.
LOAD DATA OVERWRITE analytics.ticket_triage
    PARTITIONS (dt = DATE '2026-11-21')
FROM FILES (
    format = 'PARQUET',
    uris = ['gs://lake/ticket_triage/dt=2026-11-21/part-*.parquet'],
    enable_list_inference = TRUE
);
