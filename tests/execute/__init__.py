"""Execute on the real stack: faults on the way to the exchange and the database, many at once, a signal."""
