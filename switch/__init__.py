"""vdeswitch: a switch that every VDE client uses unchanged."""
