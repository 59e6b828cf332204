"""What is to be edited next, after what has just been edited."""
