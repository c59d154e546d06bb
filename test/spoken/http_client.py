"""Asks for each path of standard input on one connection."""
import http.client, sys

peer = http.client.HTTPConnection(sys.argv[1], int(sys.argv[2]), timeout=20)
for path in sys.stdin:
    peer.request("GET", path.strip())
    peer.getresponse().read()
peer.close()
