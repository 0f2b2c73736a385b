"""A local Message Batches API over HTTP: answers that depend on the prompt, faults on demand, books of purchases."""
