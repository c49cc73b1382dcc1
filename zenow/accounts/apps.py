from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "zenow.accounts"

    def ready(self) -> None:
        """Connect the receivers of sign-in and describe bearer tokens to the schema."""
        from zenow.accounts import receivers, schema  # noqa: F401

        receivers.connect()
