"""Hosts of the API, and the clients that talk to them."""

from __future__ import annotations

from collections.abc import Iterator

import anthropic
import pytest
from tests.real.security.api import hosts

from nightbatch.io.anthropic_sdk.batches import AnthropicBatches


@pytest.fixture
def host() -> Iterator[hosts.Host]:
    """Run the host that the connection names."""
    with hosts.running() as running:
        yield running


@pytest.fixture
def stranger() -> Iterator[hosts.Host]:
    """Run a host that nobody has named."""
    with hosts.running() as running:
        yield running


@pytest.fixture
def api(host: hosts.Host) -> Iterator[AnthropicBatches]:
    """Return the port to the host, over an SDK client with its own retries and redirects."""
    http_client = anthropic.DefaultHttpxClient(verify=False)  # no certificates to load
    client = anthropic.Anthropic(
        api_key=hosts.KEY, base_url=host.url, http_client=http_client
    )
    yield AnthropicBatches(client)
    client.close()
