"""Everything a photo says about itself, and a clean copy that says nothing."""
