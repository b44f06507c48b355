# A cable between two network namespaces, with everything that a bad line does; argv: left namespace, right namespace, wires,
# "tun" for IP packets or "tap" for Ethernet frames. Commands come line by line, each is answered by a line: see command().
# The kernel offloads nothing: what passes is what goes over a wire.
import ctypes, fcntl, heapq, json, os, random, select, struct, sys, time

left, right, wires, kind = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
# Length of the header before that of IP, and IFF_TUN or IFF_TAP.
link_header, kind_flag = (14, 2) if kind == "tap" else (0, 1)
libc = ctypes.CDLL(None, use_errno=True)


def attach(namespace, device):
    with open("/var/run/netns/" + namespace) as there:
        assert libc.setns(there.fileno(), 0) == 0, os.strerror(ctypes.get_errno())
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    # TUNSETIFF with IFF_NO_PI.
    fcntl.ioctl(fd, 0x400454CA, struct.pack("16sH22x", device.encode(), 0x1000 | kind_flag))
    return fd


ends = [(attach(left, f"wire{i}"), attach(right, f"wire{i}")) for i in range(wires)]
other, label = {}, {}
for i, (a, b) in enumerate(ends):
    other[a], other[b] = b, a
    label[a], label[b] = (i, "left"), (i, "right")

state = {"loss": 0.0, "reorder": 0.0, "delay": 0.0, "cut": []}
seen, late, random_of = [], [], random.Random(7)
# UDP datagrams by destination port, and packets that a device did not take.
datagrams, refused = {}, 0


def options_of(tcp, length):
    found, at = {}, 20
    while at < length:
        kind = tcp[at]
        if kind == 0:
            break
        if kind == 1:
            at += 1
            continue
        size = tcp[at + 1]
        if kind == 2:
            found["mss"] = struct.unpack_from(">H", tcp, at + 2)[0]
        elif kind == 3:
            found["wscale"] = tcp[at + 2]
        elif kind == 34:
            found["cookie"] = size - 2
        elif kind == 30:
            found["mptcp"] = True
        at += size
    return found


def summary(packet, wire, side, passed):
    if link_header > 0:
        if packet[12:14] not in (b"\x08\x00", b"\x86\xdd"):
            return
        packet = packet[link_header:]
    six = packet[0] >> 4 == 6
    protocol = packet[6 if six else 9]
    if protocol == 17:
        port = struct.unpack_from(">H", packet, (40 if six else (packet[0] & 15) * 4) + 2)[0]
        datagrams.setdefault(port, {"passed": 0, "dropped": 0})["passed" if passed else "dropped"] += 1
    if protocol != 6 or six:
        return
    header = (packet[0] & 15) * 4
    tcp = packet[header:struct.unpack_from(">H", packet, 2)[0]]
    sport, dport, seq, ack, offset, flags, window = struct.unpack_from(">HHIIBBH", tcp)
    length = (offset >> 4) * 4
    seen.append({
        "at": time.monotonic() * 1000, "wire": wire, "from": side, "passed": passed, "tos": packet[1],
        "source": ".".join(map(str, packet[12:16])), "sport": sport, "dport": dport, "seq": seq, "ack": ack,
        "flags": "".join(name for bit, name in enumerate("FSRPAU") if flags >> bit & 1),
        "bytes": len(tcp) - length, **options_of(tcp, length),
    })


def send(fd, packet):
    global refused
    try:
        os.write(fd, packet)
    except OSError:
        refused += 1


def command(line):
    name, *words = line.split()
    if name == "cut":
        state["cut"] = words or ["left", "right"]
    elif name == "mend":
        state["cut"] = []
    elif name == "seen":
        print(json.dumps(seen), flush=True)
        seen.clear()
        return
    elif name == "datagrams":
        port = int(words[0])
        counted = datagrams.get(port, {"passed": 0, "dropped": 0})
        print(json.dumps({**counted, "refused": refused}), flush=True)
        return
    else:
        state[name] = float(words[0])
    print("done", flush=True)


print("ready", flush=True)
poller = select.poll()
for fd in list(other) + [0]:
    poller.register(fd, select.POLLIN)
text = b""
while True:
    wait = None if not late else max(0, (late[0][0] - time.monotonic()) * 1000)
    for fd, _ in poller.poll(wait):
        if fd == 0:
            part = os.read(0, 65536)
            if not part:
                sys.exit()
            *lines, text = (text + part).split(b"\n")
            for line in lines:
                command(line.decode())
            continue
        for _ in range(64):
            try:
                packet = os.read(fd, 65536)
            except BlockingIOError:
                break
            wire, side = label[fd]
            passed = side not in state["cut"] and random_of.random() >= state["loss"]
            summary(packet, wire, side, passed)
            if not passed:
                continue
            delay = state["delay"] + (5 if random_of.random() < state["reorder"] else 0)
            if delay == 0:
                send(other[fd], packet)
            else:
                heapq.heappush(late, (time.monotonic() + delay / 1000, random_of.random(), other[fd], packet))
    while late and late[0][0] <= time.monotonic():
        _, _, fd, packet = heapq.heappop(late)
        send(fd, packet)
