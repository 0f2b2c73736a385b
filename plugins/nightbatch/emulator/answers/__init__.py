"""What one request gets: checks of its parameters, tokens, cache, price and outcome."""
