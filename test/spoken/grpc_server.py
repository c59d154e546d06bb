"""A server of gRPC with one method, whose messages are bytes."""
import concurrent.futures, site, sys

site.addsitedir("/usr/lib/python3/dist-packages")
import grpc

handler = grpc.method_handlers_generic_handler(
    "lab.Echo", {"Say": grpc.unary_unary_rpc_method_handler(lambda request, _: request)}
)
server = grpc.server(concurrent.futures.ThreadPoolExecutor(4), handlers=[handler])
server.add_insecure_port(f"[::]:{sys.argv[1]}")
server.start()
server.wait_for_termination()
