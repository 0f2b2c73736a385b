"""What one request gets: tokens, cache, price and outcome; and first, in `checks`, whether it is asked at all."""
