"""The local stack: S3, the Message Batches API and Airflow on 127.0.0.1, for the demo, `make up` and the tests."""
