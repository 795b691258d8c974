"""HTTP/1.1 on both sides of the data path: clients' connections and those to pods, parsed by llhttp and written anew.

`proxy` and what opens connections of its own import it: `mesh` and the engine's route.
"""
