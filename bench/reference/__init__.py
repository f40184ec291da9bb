"""The function that starts are held against."""
