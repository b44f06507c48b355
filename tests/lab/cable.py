# A cable between two network namespaces, with everything that a bad line does; argv: left namespace, right namespace, wires.
# Commands come line by line, each is answered by a line: see COMMANDS. Packets are IP, by tun(4); the kernel offloads nothing.
import ctypes, fcntl, heapq, json, os, random, select, struct, sys, time

left, right, wires = sys.argv[1], sys.argv[2], int(sys.argv[3])
libc = ctypes.CDLL(None, use_errno=True)


def attach(namespace, device):
    with open("/var/run/netns/" + namespace) as there:
        assert libc.setns(there.fileno(), 0) == 0, os.strerror(ctypes.get_errno())
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    # TUNSETIFF with IFF_TUN | IFF_NO_PI.
    fcntl.ioctl(fd, 0x400454CA, struct.pack("16sH22x", device.encode(), 0x1001))
    return fd


ends = [(attach(left, f"wire{i}"), attach(right, f"wire{i}")) for i in range(wires)]
other, label = {}, {}
for i, (a, b) in enumerate(ends):
    other[a], other[b] = b, a
    label[a], label[b] = (i, "left"), (i, "right")

state = {"loss": 0.0, "reorder": 0.0, "delay": 0.0, "cut": []}
seen, late, random_of = [], [], random.Random(7)


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
    if packet[0] >> 4 != 4 or packet[9] != 6:
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
    try:
        os.write(fd, packet)
    except (BlockingIOError, OSError):
        pass


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
