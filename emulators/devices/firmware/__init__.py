"""What firmware and machine tell each other: fw_cfg, debugging ports."""
