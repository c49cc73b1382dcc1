"""The bodies and answers of the sign-in addresses. Every text has a limit."""

from typing import Any

from rest_framework import serializers

from resilience.answers.members import StrictMembers
from zenow.accounts import refresh

MAX_USERNAME = 254
MAX_PASSWORD = 1024


class CredentialsSerializer(StrictMembers):
    """A username and its password."""

    username = serializers.CharField(max_length=MAX_USERNAME)
    password = serializers.CharField(
        max_length=MAX_PASSWORD, trim_whitespace=False, style={"input_type": "password"}
    )


class RefreshTokenSerializer(StrictMembers):
    """The newest refresh token of a sign-in."""

    refresh_token = serializers.CharField(max_length=refresh.MAX_LENGTH)


class TokensSerializer(serializers.Serializer[Any]):
    """An access token for the API and a refresh token for the next one."""

    access_token = serializers.CharField(help_text="Send as `Authorization: Bearer <access token>`.")
    token_type = serializers.ChoiceField(choices=["Bearer"])
    expires_in = serializers.IntegerField(help_text="Seconds for which the access token is valid.")
    refresh_token = serializers.CharField(
        help_text="Valid for one use, and for 14 days from sign-in at most. Keep the one you got last."
    )


class MeSerializer(serializers.Serializer[Any]):
    """Who the access token says you are."""

    id = serializers.CharField()
    username = serializers.CharField()
    is_staff = serializers.BooleanField(help_text="As of sign-in or the last refresh.")
    expires_at = serializers.DateTimeField(help_text="When the access token ends.")
