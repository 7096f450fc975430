"""Logic of single boards: registers that no chip of a catalogue has."""
