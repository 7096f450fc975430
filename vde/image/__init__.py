"""Guest images: fetch, verify, unpack, assemble, cache."""
