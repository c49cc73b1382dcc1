"""Reads courses from CSV and JSON files and stores them, a bounded number of rows at a time."""
