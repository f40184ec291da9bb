"""Tests that need no local world."""
