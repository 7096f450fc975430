"""PCI: configuration spaces, base registers that move, interrupt pins."""
