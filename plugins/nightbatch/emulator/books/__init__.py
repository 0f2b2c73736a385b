"""What the account has bought, and what of it twice."""
