"""What is kept until it is answered: who may enter, whose turn it is, what is remembered."""
