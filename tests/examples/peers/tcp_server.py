# A TCP echo server in plain Python, for one connection; tells its port first. The client is examples/tcp.ts.
# usage: tcp_server.py
import socket

with socket.create_server(("127.0.0.1", 0)) as server:
    print(server.getsockname()[1], flush=True)
    connection, _ = server.accept()
    with connection:
        while data := connection.recv(65536):
            connection.sendall(data)
