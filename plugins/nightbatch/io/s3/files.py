"""pyarrow's own way to the same S3: its endpoint, credentials, proxy and certificates are those of a boto3 client."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from botocore.utils import get_environ_proxies

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_PUBLIC_HOST = re.compile(r"s3(\.[a-z0-9-]+)?\.amazonaws\.com(\.cn)?")
"""The hosts that pyarrow finds by the region; a VPC, FIPS or dual-stack endpoint of AWS is another one."""
CA_BUNDLE = "AWS_CA_BUNDLE"
"""boto3's variable for the certificates of a private authority; pyarrow does not read it by itself."""


def filesystem(
    client: S3Client, credentials: Any, verify: bool | str | None = None
) -> Any:
    """Make a pyarrow filesystem that reads where a boto3 client does. Its credentials do not refresh.

    :param verify: of the connection: the path of the certificates to trust. None: that of AWS_CA_BUNDLE, if set.
    """
    from pyarrow.fs import S3FileSystem

    return S3FileSystem(
        region=client.meta.region_name,
        **endpoint_options(client.meta.endpoint_url),
        **_credential_options(credentials),
        **_proxy_options(client),
        **certificate_options(verify),
    )


def endpoint_options(endpoint_url: str) -> dict[str, str]:
    """Return what names the endpoint; nothing for a public one of AWS, which the region names."""
    endpoint = urlsplit(endpoint_url)
    host_name = endpoint.hostname or ""
    if _PUBLIC_HOST.fullmatch(host_name):
        return {}
    address = endpoint.netloc + endpoint.path.rstrip("/")
    return {"endpoint_override": address, "scheme": endpoint.scheme}


def _credential_options(credentials: Any) -> dict[str, Any]:
    if not credentials:
        return {}
    frozen_credentials = credentials.get_frozen_credentials()
    if frozen_credentials is None:
        return {}
    return {
        "access_key": frozen_credentials.access_key,
        "secret_key": frozen_credentials.secret_key,
        "session_token": frozen_credentials.token,
    }


def _proxy_options(client: S3Client) -> dict[str, str]:
    """Return the proxy that boto3 uses: of the client's own settings, else of HTTPS_PROXY and NO_PROXY."""
    config: Any = client.meta.config
    endpoint_url = client.meta.endpoint_url
    proxies = config.proxies
    if proxies is None:
        proxies = get_environ_proxies(endpoint_url)
    proxy = proxies.get(urlsplit(endpoint_url).scheme)
    if not proxy:
        return {}
    return {"proxy_options": proxy if "://" in proxy else f"http://{proxy}"}


def certificate_options(verify: bool | str | None) -> dict[str, str]:
    """Return what names the certificates to trust besides those of the system; nothing if none are named."""
    bundle = verify if isinstance(verify, str) else os.environ.get(CA_BUNDLE)
    return {"tls_ca_file_path": bundle} if bundle else {}
