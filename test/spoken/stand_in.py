"""Stands in for servers that no package has, or that need too much: answers each segment in the way that is asked for."""
import socket, sys, threading

port, way = int(sys.argv[1]), sys.argv[2]


def table(values=b""):
    return len(values).to_bytes(4, "big") + values


def long_text(text):
    return len(text).to_bytes(4, "big") + text


def amqp_start():
    """Connection.Start: class 10, method 10, version 0-9, properties of the server, mechanisms, locales."""
    method = bytes.fromhex("000a000a0009") + table() + long_text(b"PLAIN") + long_text(b"en_US")
    return b"\x01\x00\x00" + len(method).to_bytes(4, "big") + method + b"\xce"


def serve(peer):
    with peer:
        if way == "ok":
            peer.sendall(b"+OK ready\r\n")
        greeted = False
        while got := peer.recv(65536):
            if way == "ok":
                peer.sendall(b"+OK\r\n")
            elif way == "echo":
                peer.sendall(bytes(255 - byte for byte in got))
            elif way == "amqp":
                if greeted:
                    return
                peer.sendall(amqp_start())
                greeted = True


listener = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=64)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
