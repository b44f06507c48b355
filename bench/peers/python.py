"""Python's socket module, as one of those that bench/contestants.ts runs side by side: sends, receives, makes round trips.

send HOW PORT BYTES SECONDS | receive HOW BYTES SECONDS | trip PORT BYTES TRIPS
"""

import socket
import sys
import time

# Seconds before it counts: the sender is under way by then.
WARM = 0.2
HOST = "127.0.0.1"


def slice_of(seconds, step):
    """Counts while time lasts; tells count, seconds and microseconds of processor time."""
    step()
    for length in (WARM, seconds):
        count, used, began = 0, time.process_time(), time.perf_counter()
        while time.perf_counter() < began + length:
            for _ in range(64):
                step()
            count += 64
    print(count, time.perf_counter() - began, int((time.process_time() - used) * 1e6))


def main():
    what, *rest = sys.argv[1:]
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    if what == "send":
        to, data = (HOST, int(rest[1])), bytes(int(rest[2]))
        slice_of(float(rest[3]), lambda: udp.sendto(data, to))
        return
    udp.bind((HOST, 0))
    if what == "receive":
        print(udp.getsockname()[1], flush=True)
        into = bytearray(int(rest[1]) + 1)
        slice_of(float(rest[2]), lambda: udp.recvfrom_into(into))
        return
    to, data, trips, taken = (HOST, int(rest[0])), bytes(int(rest[1])), int(rest[2]), []
    into = bytearray(len(data))
    for i in range(-trips // 4, trips):
        began = time.perf_counter()
        udp.sendto(data, to)
        udp.recvfrom_into(into)
        if i >= 0:
            taken.append((time.perf_counter() - began) * 1e6)
    taken.sort()
    print(taken[trips // 2], taken[trips * 99 // 100])


main()
