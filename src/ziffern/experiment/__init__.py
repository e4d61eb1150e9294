"""From a composed configuration to a recorded run; the only room that sees `cfg`."""
