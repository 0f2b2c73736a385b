"""Act: the SDK edges (boto3, pyarrow S3, anthropic) behind the ports of `nightbatch.ports`."""
