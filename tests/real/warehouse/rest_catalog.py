"""A small Iceberg REST catalog, by the open specification, over a SQL catalog: what publishing asks of one, no more."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from pyiceberg.catalog import Catalog
from pyiceberg.catalog.rest import CreateTableRequest, TableResponse
from pyiceberg.exceptions import CommitFailedException, NoSuchTableError
from pyiceberg.partitioning import UNPARTITIONED_PARTITION_SPEC
from pyiceberg.schema import Schema
from pyiceberg.table import CommitTableRequest, Table
from pyiceberg.table.sorting import UNSORTED_SORT_ORDER

CREDENTIAL = ("nightly", "a-secret")
TOKEN = "a-token"


class Server(BaseHTTPRequestHandler):
    """Answers for `catalog`; `asked` holds each method and path that was asked for with the token."""

    catalog: ClassVar[Catalog]
    asked: ClassVar[list[str]]

    def do_GET(self) -> None:
        path = self._path()
        if path == ["config"]:
            self._tell(200, {"defaults": {}, "overrides": {}})
        else:
            self._table(path, lambda table: self._tell(200, _whole(table)))

    def do_HEAD(self) -> None:
        path = self._path()
        if len(path) == 2:
            self._tell(204 if self.catalog.namespace_exists(path[1]) else 404)
        else:
            self._table(path, lambda _: self._tell(204))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        path = self._path(of_token=self.path.endswith("/oauth/tokens"))
        if path == ["oauth", "tokens"]:
            given = {
                name: values[0] for name, values in parse_qs(body.decode()).items()
            }
            right = (given.get("client_id"), given.get("client_secret")) == CREDENTIAL
            self._tell(
                200 if right else 401,
                {"access_token": TOKEN, "token_type": "bearer", "expires_in": 3600},
            )
        elif path == ["namespaces"]:
            self.catalog.create_namespace(tuple(json.loads(body)["namespace"]))
            self._tell(200, json.loads(body))
        elif len(path) == 3:
            given = {
                "location": None,
                "partition-spec": None,
                "write-order": None,
                **json.loads(body),
            }
            self._tell(
                200,
                _whole(self._create(path[1], CreateTableRequest.model_validate(given))),
            )
        else:
            self._commit(path, CommitTableRequest.model_validate_json(body))

    def _create(self, namespace: str, asked: CreateTableRequest) -> Table:
        spec, order = (
            asked.partition_spec or UNPARTITIONED_PARTITION_SPEC,
            asked.write_order or UNSORTED_SORT_ORDER,
        )
        given = (
            f"{namespace}.{asked.name}",
            asked.table_schema,
            asked.location,
            spec,
            order,
            asked.properties,
        )
        if not asked.stage_create:
            return self.catalog.create_table(*given)
        staged: Table = self.catalog.create_table_transaction(*given)._table
        return staged

    def _commit(self, path: list[str], asked: CommitTableRequest) -> None:
        named = self.catalog.create_table_transaction(
            f"{path[1]}.{path[3]}", Schema()
        )._table  # only its name counts
        try:
            done = self.catalog.commit_table(named, asked.requirements, asked.updates)
        except CommitFailedException as error:
            self._tell(409, _error(409, error))
        else:
            self._tell(200, json.loads(done.model_dump_json(by_alias=True)))

    def _table(self, path: list[str], tell: Any) -> None:
        try:
            tell(self.catalog.load_table(f"{path[1]}.{path[3]}"))
        except NoSuchTableError as error:
            self._tell(404, _error(404, error))

    def _path(self, *, of_token: bool = False) -> list[str]:
        parts = urlsplit(self.path).path.removeprefix("/v1/").split("/")
        if of_token:
            return parts
        assert self.headers["Authorization"] == f"Bearer {TOKEN}"
        self.asked.append(f"{self.command} {'/'.join(parts)}")
        return parts

    def _tell(self, status: int, body: Any = None) -> None:
        payload = (
            b"" if body is None or self.command == "HEAD" else json.dumps(body).encode()
        )
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def _whole(table: Table) -> Any:
    told = TableResponse(
        **{
            "metadata-location": table.metadata_location or None,
            "metadata": table.metadata,
        }
    )
    return json.loads(told.model_dump_json(by_alias=True))


def _error(code: int, error: Exception) -> dict[str, Any]:
    return {
        "error": {"message": str(error), "type": type(error).__name__, "code": code}
    }


@contextmanager
def serving(catalog: Catalog) -> Iterator[tuple[str, list[str]]]:
    """Serve a catalog, and return the URL and the list of what is asked of it."""
    asked: list[str] = []
    handler = type("Handler", (Server,), {"catalog": catalog, "asked": asked})
    server = HTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
