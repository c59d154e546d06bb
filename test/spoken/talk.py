"""Sends each line of standard input, with its escapes, and waits for an answer after each."""
import socket, sys

host, port = sys.argv[1], int(sys.argv[2])
peer = socket.create_connection((host, port), 20)
for line in sys.stdin:
    peer.sendall(line.rstrip("\n").encode().decode("unicode_escape").encode("latin1"))
    peer.settimeout(0.5)
    try:
        peer.recv(4096)
    except TimeoutError:
        pass
peer.close()
