"""One journey through the API with each client. A program of its own each: it prints what it met as JSON.

Arguments: the site's address, a user's name and password, an access token for when nobody can sign in, and
the slug of a course that is asked for alone.
"""
