# A UDP receiver in plain Python: tells its port, prints one datagram and sends it back. Bound to 127.255.255.255 it
# hears broadcasts. The senders are examples/udp.ts and examples/broadcast.ts. usage: udp_receiver.py ADDRESS
import socket
import sys

receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
receiver.bind((sys.argv[1], 0))
print(receiver.getsockname()[1], flush=True)
data, sender = receiver.recvfrom(65536)
print(f"{sender[0]}: {data.decode()}", flush=True)
receiver.sendto(data, sender)
