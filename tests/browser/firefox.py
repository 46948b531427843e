"""Debian's Firefox, driven through Marionette, the protocol that it has built in: JSON over a socket, so that no driver need be installed."""

import base64
import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.programs import require

__all__ = ["Firefox", "FirefoxError", "firefox"]

PATIENCE_SECONDS = 60
SETTINGS = {
    "marionette.port": 0,  # any free one; Firefox writes which
    "network.dns.localDomains": "hasil.test",
    "network.proxy.type": 0,
}
STOP_WORKERS = """
const manager = Cc["@mozilla.org/serviceworkers/manager;1"].getService(Ci.nsIServiceWorkerManager);
const found = manager.getAllRegistrations();
const all = Array.from({ length: found.length }, (_, i) => found.queryElementAt(i, Ci.nsIServiceWorkerRegistrationInfo));
return Promise.all(all.map((one) => one.activeWorker?.terminateWorker()));
"""


class FirefoxError(Exception):
    """What Firefox answered instead of a result."""


class Firefox:
    """One window of a running Firefox."""

    def __init__(self, port: int) -> None:
        with socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS) as connection:
            self._stream = connection.makefile("rwb")  # which keeps it open
        self._read()
        self._count = 0
        self._ask("WebDriver:NewSession", {"pageLoadStrategy": "normal"})

    def open(self, url: str) -> None:
        self._ask("WebDriver:Navigate", {"url": url})

    def visit(self, url: str) -> str:
        """Open a page and wait until the check has told what it found (site_templates/check/outcome.js)."""
        self.open(url)
        return self.wait_for("return document.documentElement.dataset.periksa")

    def run(self, script: str, *arguments: str) -> Any:
        """What a function with this body returns in the page; promises are waited for."""
        asked = {"script": script, "args": arguments, "sandbox": None}
        return self._ask("WebDriver:ExecuteScript", asked)["value"]

    def wait_for(self, script: str) -> Any:
        """What `run` returns, once it is something."""
        until = time.monotonic() + PATIENCE_SECONDS
        while not (found := self.run(script)):
            assert time.monotonic() < until, f"{script}: {self.text('html')}"
            time.sleep(0.02)
        return found

    def text(self, selector: str) -> str:
        return self.run("return document.querySelector(arguments[0]).innerText", selector)

    def give(self, selector: str, keys: str | Sequence[Path]) -> None:
        """Type text into a field, or choose files."""
        text = keys if isinstance(keys, str) else "\n".join(map(str, keys))
        (element,) = self._ask("WebDriver:FindElement", {"using": "css selector", "value": selector})["value"].values()
        self._ask("WebDriver:ElementSendKeys", {"id": element, "text": text})

    def paper(self) -> bytes:
        """The page as it would be printed: a PDF."""
        return base64.b64decode(self._ask("WebDriver:Print", {})["value"])

    def stop_workers(self) -> None:
        """What browsers do after half a minute: the next page starts the worker from what it has saved."""
        self._ask("Marionette:SetContext", {"value": "chrome"})
        self._ask("WebDriver:ExecuteScript", {"script": STOP_WORKERS, "args": []})
        self._ask("Marionette:SetContext", {"value": "content"})

    def quit(self) -> None:
        self._ask("Marionette:Quit", {"flags": ["eForceQuit"]})
        self._stream.close()

    def _ask(self, command: str, parameters: dict[str, Any]) -> Any:
        self._count += 1
        data = json.dumps([0, self._count, command, parameters]).encode()
        self._stream.write(b"%d:%s" % (len(data), data))
        self._stream.flush()
        _, _, error, result = self._read()
        if error:
            raise FirefoxError(f"{command}: {error['error']}: {error['message']}")
        return result

    def _read(self) -> Any:
        length = b""
        while (byte := self._stream.read(1)) != b":":
            assert byte, "Firefox has closed the connection"
            length += byte
        return json.loads(self._stream.read(int(length)))


@contextmanager
def firefox(profile: Path) -> Iterator[Firefox]:
    """A Firefox without a window on the screen, with a new profile in the empty folder `profile`."""
    program = require("firefox-esr")
    settings = (f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in SETTINGS.items())
    (profile / "user.js").write_text("".join(settings))
    command = [
        program,
        "--headless",
        "--marionette",
        "--remote-allow-system-access",
        "--no-remote",
        "--profile",
        profile,
    ]
    with (profile / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "HOME": str(profile)})
    try:
        running = Firefox(_port(profile, process))
        yield running
        running.quit()
        process.wait(PATIENCE_SECONDS)
    finally:
        process.kill()
        process.wait()


def _port(profile: Path, process: subprocess.Popen[bytes]) -> int:
    until, file = time.monotonic() + PATIENCE_SECONDS, profile / "MarionetteActivePort"
    while not file.exists() or not file.read_text():
        assert process.poll() is None, (profile / "log").read_text()
        assert time.monotonic() < until, (profile / "log").read_text()
        time.sleep(0.05)
    return int(file.read_text())
