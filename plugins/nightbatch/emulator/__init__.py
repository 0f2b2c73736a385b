"""A local Message Batches API: the real wire, answers that depend on the prompt, faults on demand, books that prove."""
