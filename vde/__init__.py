"""vde-fabric: the spine (frames, errors, clock) and the front door (`vde …`)."""
