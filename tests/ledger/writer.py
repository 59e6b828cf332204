"""Records rows until it is killed, and says which are recorded: `writer.py FOLDER PREFIX FLUSH_S`."""

import asyncio
import os
import sys
from itertools import count
from pathlib import Path

from ledger_harness import row

from ghostd.config.ledger import LedgerConfig
from ghostd.ledger.service import open_ledger


async def main() -> None:
    folder, prefix, flush_s = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    async with open_ledger(folder, LedgerConfig(flush_s=flush_s)) as ledger:
        for number in count():
            ledger.record(row(f"{prefix}-{number:06d}"))
            os.write(1, b".")  # one for each row whose record() has returned
            if number % 7 == 0:
                await asyncio.sleep(0)


asyncio.run(main())
