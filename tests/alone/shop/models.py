"""What the shop sells."""

from django.db import models


class Product(models.Model):
    """A product."""

    title = models.CharField(max_length=100)
    updated = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return self.title
