"""HTTP/2 on both sides of the data path: clients with prior knowledge, and pods whose port is named h2c.

`proxy` and the gRPC probe of `pods` import it with the first HTTP/2 connection.
"""
