#!/usr/bin/env python3
"""What runs in the container of the units beside them: a fake provider, and a load on the site.

    inside.py provider DIR                      its port, authority and login are in DIR: port, ca.pem, sa.json
    inside.py load DIR CERTIFICATE KEY          until DIR/stop is there; DIR/load holds the outcomes so far as a JSON list
"""
import json
import os
import sys
import time
from pathlib import Path

from stage import Load, Provider, Site


def provider(directory):
    internet = Provider(str(directory), login="", pace=0.3)
    (directory / "authority.pem").write_bytes(Path(internet.ca_path).read_bytes())
    (directory / "port.new").write_text(str(internet.port))
    (directory / "port.new").rename(directory / "port")
    while True:
        time.sleep(60)


def load(directory, certificate, key):
    running = Load(Site(certificate, 443), key)

    def noted():
        (directory / "load.new").write_text(json.dumps([word for _, word in running.outcomes]))
        os.replace(directory / "load.new", directory / "load")

    while not (directory / "stop").exists():
        noted()
        time.sleep(0.5)
    running.close()
    noted()
    (directory / "stopped").touch()


if __name__ == "__main__":
    {"provider": provider, "load": load}[sys.argv[1]](Path(sys.argv[2]), *sys.argv[3:])
