# A multicast sender in plain Python, out by 127.0.0.1 so that nothing leaves this machine. The other half is
# multicast_receiver.py. usage: multicast_sender.py GROUP PORT TEXT COUNT
import socket
import sys

group, port, text, count = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
for _ in range(count):
    sender.sendto(text.encode(), (group, port))
