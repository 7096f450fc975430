"""ATA and ATAPI drives, their channels, and the PCI function that they hang on."""
