"""What the tests of the signaling service share."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[4]
