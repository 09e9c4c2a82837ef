# SPDX-License-Identifier: MIT
"""wait.py SERVICE PORT TOKEN_FILE: return when JupyterLab takes that token, fail when it cannot."""

import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

#: Interpreted by QEMU on a busy machine, the server takes minutes; a failed service ends the wait.
LIMIT_S = 1200.0


def answers(port: str, token: str) -> bool:
    """Whether the server takes the token; raises HTTPError when it is there and does not."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/status", headers={"Authorization": f"token {token}"}
    )
    try:
        with urllib.request.urlopen(request, timeout=60):
            return True
    except urllib.error.HTTPError:
        raise
    except OSError:
        return False


def main() -> int:
    """See the module."""
    service, port, token_file = sys.argv[1:]
    token = Path(token_file).read_text(encoding="utf-8").strip()
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        try:
            if answers(port, token):
                return 0
        except urllib.error.HTTPError as error:
            print(f"port {port} answers, but with {error}: another server?", file=sys.stderr)
            return 1
        state = subprocess.run(
            ["systemctl", "is-active", service], capture_output=True, text=True, check=False
        ).stdout.strip()
        if state not in ("active", "activating"):
            print(f"the service {service} is {state}", file=sys.stderr)
            return 1
        time.sleep(1)
    print(f"no answer on port {port} in {LIMIT_S:.0f} s", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
