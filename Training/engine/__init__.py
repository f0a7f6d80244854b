"""What a run is made of, whatever its method: settings, start, loop, state, log, validation, export."""
