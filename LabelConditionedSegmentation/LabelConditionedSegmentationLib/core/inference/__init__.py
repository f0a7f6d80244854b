"""A network and a scan: windows, features, scores, winners, results, on whatever device and memory there is."""
