"""Load tests that prove the functions scale."""
