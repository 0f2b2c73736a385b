"""What requests cost, as the API bills them: each row of a block (`charge`), and sums of any number (`bill`)."""
