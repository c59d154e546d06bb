"""Answers MongoDB's clients: what kind of server it is, and `ok` to everything else."""
import site, socket, struct, sys, threading

site.addsitedir("/usr/lib/python3/dist-packages")
import bson

[OP_REPLY, OP_QUERY, OP_MSG] = [1, 2004, 2013]
SELF = {"ismaster": True, "maxBsonObjectSize": 2**24, "maxMessageSizeBytes": 48000000,
        "maxWriteBatchSize": 100000, "minWireVersion": 0, "maxWireVersion": 8, "ok": 1.0}


def read(peer, size):
    got = b""
    while len(got) < size:
        more = peer.recv(size - len(got))
        if not more:
            raise EOFError
        got += more
    return got


def serve(peer):
    with peer:
        try:
            while True:
                size, request, _, code = struct.unpack("<iiii", read(peer, 16))
                read(peer, size - 16)
                if code == OP_QUERY:
                    body = struct.pack("<iqii", 8, 0, 0, 1) + bson.encode(SELF)
                    kind = OP_REPLY
                else:
                    body = struct.pack("<IB", 0, 0) + bson.encode({"ok": 1.0})
                    kind = OP_MSG
                peer.sendall(struct.pack("<iiii", 16 + len(body), 7, request, kind) + body)
        except (EOFError, OSError):
            pass


listener = socket.create_server(("::", int(sys.argv[1])), family=socket.AF_INET6, dualstack_ipv6=True)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
