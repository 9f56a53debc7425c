"""``python -m actr_peer`` is the ``actr`` command."""

from actr_peer.cli import main

if __name__ == "__main__":
    main()
