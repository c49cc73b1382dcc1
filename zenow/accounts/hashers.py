"""How passwords are hashed."""

from django.contrib.auth.hashers import Argon2PasswordHasher


class Argon2idHasher(Argon2PasswordHasher):
    """Argon2id as OWASP recommends for servers: 19 MiB, two passes, one thread.

    A hash takes some 30 ms, Django's default PBKDF2 350 ms. Meanwhile a sign-in holds a place in the pool
    `auth`, so a shorter time means that fewer sign-ins are refused.
    """

    memory_cost = 19 * 1024
    time_cost = 2
    parallelism = 1
