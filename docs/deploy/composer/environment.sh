#!/bin/sh
# The environment variables of a Cloud Composer environment: sh environment.sh ENVIRONMENT LOCATION
set -eu
environment=$1
location=$2
# gcloud separates variables by commas; ^;^ makes it a semicolon, since our values hold commas.
gcloud composer environments update "$environment" --location "$location" --update-env-variables \
  "^;^NIGHTBATCH_ROOTS=s3://lake/tickets/,s3://lake/ticket_triage/,s3://lake/_nightbatch/;NIGHTBATCH_CONNECTIONS=anthropic_default,aws_default;NIGHTBATCH_MAX_COST_USD=250"
gcloud composer environments update "$environment" --location "$location" --update-pypi-packages-from-file requirements.txt
