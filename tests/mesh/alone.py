"""A network of its own for one proxy, where its ports on all addresses are nobody else's.

`python -m tests.mesh.alone FILE URL… -- COMMAND…` becomes the command there, once a child asks the URLs,
one after the other until each says 200, and then writes them to the file.
"""

import os
import signal
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from osm.local import namespaces, network


def main() -> NoReturn:
    end = sys.argv.index("--")
    file, urls, command = Path(sys.argv[1]), sys.argv[2:end], sys.argv[end + 1 :]
    uid, gid = os.geteuid(), os.getegid()
    namespaces.unshare(namespaces.CLONE_NEWUSER | namespaces.CLONE_NEWNET)
    namespaces.map_user(0, uid, 0, gid)
    network.bring_up_loopback()
    if not os.fork():
        namespaces.die_with_parent(signal.SIGKILL, os.getppid())
        for url in urls:
            while not _answers(url):
                time.sleep(0.05)
        file.write_text("\n".join(urls))
        os._exit(0)
    os.execv(command[0], command)  # noqa: S606


def _answers(url: str) -> bool:
    with suppress(OSError):
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(url, timeout=2) as answer:
            return bool(answer.status == 200)
    return False


if __name__ == "__main__":
    main()
