"""Load generators: open loop by schedule, closed loop by clients, over one HTTP/1.1 encoder.

Scenarios and the command `python -m loadtest.openloop` import it.
"""
