"""Calls the method of grpc_server.py three times on one connection."""
import site, sys

site.addsitedir("/usr/lib/python3/dist-packages")
import grpc

with grpc.insecure_channel(sys.argv[1]) as channel:
    say = channel.unary_unary("/lab.Echo/Say")
    for _ in range(3):
        say(b"hello", timeout=50)
