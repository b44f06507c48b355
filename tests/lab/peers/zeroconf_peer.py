"""Announces or finds services by python3-zeroconf, until it gets a signal.

zeroconf_peer.py FAMILY announce NAME TYPE PORT ADDRESS TEXT
zeroconf_peer.py FAMILY browse TYPE
"""

import signal
import socket
import sys

from zeroconf import InterfaceChoice, IPVersion, ServiceBrowser, ServiceInfo, Zeroconf

family, action, *rest = sys.argv[1:]
version = {"IPv4": IPVersion.V4Only, "IPv6": IPVersion.V6Only}[family]
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
zeroconf = Zeroconf(interfaces=InterfaceChoice.All, ip_version=version)


def say(*words):
    print(*words, flush=True)


class Listener:
    def add_service(self, zeroconf, kind, name):
        info = zeroconf.get_service_info(kind, name)
        if info is None:
            say("incomplete", name)
            return
        text = [f"{key.decode()}={value.decode()}" for key, value in info.properties.items() if key]
        say("found", name, info.server, info.port, *sorted(info.parsed_addresses()), *text)

    def update_service(self, zeroconf, kind, name):
        pass

    def remove_service(self, zeroconf, kind, name):
        say("lost", name)


if action == "announce":
    name, kind, port, address, text = rest
    number = socket.inet_pton(socket.AF_INET if family == "IPv4" else socket.AF_INET6, address)
    key, value = text.split("=")
    info = ServiceInfo(
        f"{kind}.local.",
        f"{name}.{kind}.local.",
        addresses=[number],
        port=int(port),
        properties={key: value},
        server="zeroconf-peer.local.",
    )
    zeroconf.register_service(info)
    say("announced")
else:
    browser = ServiceBrowser(zeroconf, f"{rest[0]}.local.", Listener())
    say("ready")

signal.sigwait([signal.SIGINT])
zeroconf.close()
