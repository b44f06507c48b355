# Hands an open file to a server of unix packets, in plain Python, and prints the answer. The server is examples/unix.ts.
# usage: unix_client.py PATH FILE [USER: who it becomes once it is connected]
import os, socket, sys

with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
    client.settimeout(5)
    client.connect(sys.argv[1].replace("@", "\0", 1))
    with open(sys.argv[2]) as file:
        if len(sys.argv) > 3:
            os.setgid(int(sys.argv[3]))
            os.setuid(int(sys.argv[3]))
        socket.send_fds(client, [os.path.basename(file.name).encode()], [file.fileno()])
    print(client.recv(65536).decode())
