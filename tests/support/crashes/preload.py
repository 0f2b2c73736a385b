"""What the process that runs are forked from has imported and read beforehand, so that a fork is quick."""

from tests.support.nights.real import RealWorld

NOWHERE = "http://127.0.0.1:1"

RealWorld(NOWHERE, NOWHERE).store("s3://lake/")
RealWorld(NOWHERE, NOWHERE).api()
