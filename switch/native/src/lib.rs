//! vdeswitch's frame forwarder.
