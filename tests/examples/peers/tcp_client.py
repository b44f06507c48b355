# A TCP client in plain Python: sends a text, half-closes, prints all that comes back. The server is examples/tcp.ts.
# usage: tcp_client.py PORT TEXT
import socket
import sys

with socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=10) as client:
    client.sendall(sys.argv[2].encode())
    client.shutdown(socket.SHUT_WR)
    echo = b"".join(iter(lambda: client.recv(65536), b""))
    print(echo.decode())
