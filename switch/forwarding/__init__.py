"""The data plane: frames between ports. `contract` says what both forwarders do; `reference` is the specification."""
