#!/bin/sh
# The environment variables and the package of a Cloud Composer environment: sh environment.sh ENVIRONMENT LOCATION
set -eu
environment=$1
location=$2
folder=$(dirname "$0")
# gcloud separates variables by commas, which our values hold: ^;^ makes it a semicolon.
policy='NIGHTBATCH_ROOTS=s3://lake/tickets/,s3://lake/ticket_triage/,s3://lake/_nightbatch/;NIGHTBATCH_CONNECTIONS=anthropic_default,aws_default;NIGHTBATCH_MAX_COST_USD=250;NIGHTBATCH_S3_EXTRA_ARGS={"ServerSideEncryption": "aws:kms"}'
gcloud composer environments update "$environment" --location "$location" --update-env-variables "^;^$policy"
gcloud composer environments update "$environment" --location "$location" \
  --update-pypi-packages-from-file "$folder/requirements.txt"
