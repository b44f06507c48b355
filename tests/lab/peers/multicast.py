"""Multicast as in any textbook, IPv4 and IPv6; the same words as multicast.c.

usage: multicast.py listen GROUP PORT [SOURCE] | send GROUP PORT FROM TEXT...
"""
import socket
import struct
import sys

MCAST_JOIN_SOURCE_GROUP = 46  # Linux; the module does not name it

verb, group, port, *rest = sys.argv[1:]
family = socket.AF_INET6 if ":" in group else socket.AF_INET
packed = socket.inet_pton(family, group)
fd = socket.socket(family, socket.SOCK_DGRAM)


def storage(address):
    """struct sockaddr_storage of an address."""
    bytes_of = socket.inet_pton(family, address)
    head = struct.pack("=HH", family, 0) + (b"" if family == socket.AF_INET else bytes(4))
    return (head + bytes_of).ljust(128, b"\0")


if verb == "listen":
    fd.bind(("", int(port)))
    if rest:
        level = socket.IPPROTO_IP if family == socket.AF_INET else socket.IPPROTO_IPV6
        fd.setsockopt(level, MCAST_JOIN_SOURCE_GROUP, struct.pack("=I4x", 0) + storage(group) + storage(rest[0]))
    elif family == socket.AF_INET:
        fd.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, packed + socket.inet_aton("0.0.0.0"))
    else:
        fd.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, packed + struct.pack("@I", 0))
    print("ready", flush=True)
    text = ""
    while text != "end":
        data, peer = fd.recvfrom(65536)
        text = data.decode()
        print(text, "from", peer[0], flush=True)
else:
    if rest[0] != "-":
        fd.bind((rest[0], 0))
    for text in rest[1:]:
        fd.sendto(text.encode(), (group, int(port)))
