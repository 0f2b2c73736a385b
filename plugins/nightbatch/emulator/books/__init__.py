"""The books: what the account has bought, and which requests it has bought twice."""
