"""What pages load from here: the built files of browser/, committed in ``built``."""
