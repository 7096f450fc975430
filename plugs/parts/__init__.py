"""What plugs are made of: protocol cores, engines, sockets. A scheme's own file is in the folder above."""
