# A multicast receiver in plain Python: joins on 127.0.0.1 and prints what comes. The other half is multicast_sender.py.
# usage: multicast_receiver.py GROUP PORT COUNT
import socket
import sys

group, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
receiver.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
receiver.bind(("", port))
request = socket.inet_aton(group) + socket.inet_aton("127.0.0.1")
receiver.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
print("ready", flush=True)
for _ in range(count):
    data, sender = receiver.recvfrom(65536)
    print(f"{sender[0]}: {data.decode()}", flush=True)
