"""How passwords are hashed."""

from django.contrib.auth.hashers import Argon2PasswordHasher


class Argon2idHasher(Argon2PasswordHasher):
    """Argon2id as OWASP advises for servers: 19 MiB, two passes, one thread.

    A sign-in holds a place in the pool `auth` meanwhile: some 30 ms, where Django's default, PBKDF2, takes
    350, so that fewer people are turned away.
    """

    memory_cost = 19 * 1024
    time_cost = 2
    parallelism = 1
