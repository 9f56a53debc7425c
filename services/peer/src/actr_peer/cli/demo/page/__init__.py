"""A page that joins the demo: its processes, its site, and the actor that it talks to."""
