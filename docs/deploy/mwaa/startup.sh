#!/bin/sh
# The startup script of an MWAA environment: it runs in every container before Airflow starts.
# The policy of the deployment (docs/security.md). Connections are not here: they are in AWS Secrets Manager.
export NIGHTBATCH_ROOTS="s3://lake/tickets/,s3://lake/ticket_triage/,s3://lake/_nightbatch/"
export NIGHTBATCH_CONNECTIONS="anthropic_default,aws_default"
export NIGHTBATCH_MAX_COST_USD="250"
export NIGHTBATCH_S3_EXTRA_ARGS='{"ServerSideEncryption": "aws:kms"}'
