"""The management console: commands, codes and layouts of vde_switch 2.3.2."""
