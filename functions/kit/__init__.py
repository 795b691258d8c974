"""What every function shares; imports no function."""
