"""What may be added to the switch at run time (`plugin/add`): the jobs of vde_switch's plugins, built in."""
