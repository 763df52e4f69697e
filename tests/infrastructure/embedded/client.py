"""A client of the embedded servers as a process of its own: prints where they are, and stays until stdin
ends.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from amends.infrastructure.embedded import Servers
from amends.infrastructure.settings import Settings


async def main() -> None:
    async with Servers(Settings(data_dir=Path(sys.argv[1]))) as servers:
        found = {
            "database_url": servers.database_url,
            "nats_url": servers.nats_url,
            "postgres": servers.postgres_pid,
            "nats": servers.nats_pid,
            "session": os.getsid(0),
        }
        print(json.dumps(found), flush=True)
        await asyncio.to_thread(sys.stdin.read)


asyncio.run(main())
