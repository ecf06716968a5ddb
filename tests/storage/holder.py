"""Script for the tests: `holder.py ROOT SECONDS` has the embedded server for a while, and says when."""

import sys
import time
from pathlib import Path

from tabveil.config import EnvironmentConfig
from tabveil.storage import connect

if __name__ == "__main__":
    with connect(EnvironmentConfig(wait_seconds=30), Path(sys.argv[1])) as store:
        print("up", store.endpoint_url, flush=True)
        time.sleep(float(sys.argv[2]))
    print("down", flush=True)
