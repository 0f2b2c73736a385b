"""The processes behind the demo and the tests: S3, the emulator and every component of Airflow."""
