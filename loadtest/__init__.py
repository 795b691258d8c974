"""The load suite: Locust users, load generators, observers of pods, verdicts, report and capacity plans.

It talks to the functions over HTTP alone, and imports the simulation and the pure parts that the simulation is made of.
"""
