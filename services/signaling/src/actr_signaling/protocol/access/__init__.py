"""An issuer's access rules: who may ask whom for what, and how they are published."""
