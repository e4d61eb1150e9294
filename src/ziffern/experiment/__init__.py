"""From a composed configuration to a recorded run; the only room that reads `cfg` as a whole."""
