"""The command `pixelamp`: talks HTTP to the functions, wherever they run."""
