"""Drills: break a dependency under steady reads, and hold the answers to stated objectives."""
