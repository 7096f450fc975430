"""DMA controllers of boards."""
