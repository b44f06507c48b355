# A server of unix packets in plain Python, for one client that hands over files. The client is examples/unix.ts.
# usage: unix_server.py PATH
import os, socket, struct, sys

with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
    server.bind(sys.argv[1].replace("@", "\0", 1))
    server.listen()
    print("listening", flush=True)
    connection, _ = server.accept()
    with connection:
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        print("process %d, user %d, group %d" % struct.unpack("3i", credentials))
        name, descriptors, _, _ = socket.recv_fds(connection, 65536, 10)
        for descriptor in descriptors:
            with os.fdopen(descriptor) as file:
                print(name.decode(), "says", repr(file.read()))
        connection.send(b"%d read" % len(descriptors))
