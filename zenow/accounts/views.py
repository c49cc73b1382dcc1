"""Sign in, refresh, sign out, and who am I (`/api/auth/…`)."""

from datetime import UTC, datetime
from typing import Any

from django.contrib.auth import authenticate, user_logged_in
from django.contrib.auth.models import User
from django.utils import timezone
from django.utils.cache import patch_cache_control
from django.views.decorators.debug import sensitive_variables
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from resilience.auth import explained, guarded_call
from resilience.problems import ProblemError
from resilience.request.scope import pool
from zenow.accounts import access, refresh
from zenow.accounts.authentication import BearerAuthentication, challenge
from zenow.accounts.serializers import (
    CredentialsSerializer,
    MeSerializer,
    RefreshTokenSerializer,
    TokensSerializer,
)

_REFUSED = OpenApiResponse(description="Refused, as a problem (RFC 9457) with `WWW-Authenticate`.")
_TOO_MANY = OpenApiResponse(
    description="Too many attempts at this account; `Retry-After` says when to try again."
)
_DOWN = OpenApiResponse(description="Sign-in is down; `Retry-After` says when to try again.")


@pool(None)  # signing in takes a place in the pool `auth` itself; the rest asks no server, or little
class PrivateView(APIView):
    """A view whose answers are for one person, so that no cache may keep them."""

    authentication_classes: list[Any] = []
    permission_classes: list[Any] = []

    def get_authenticate_header(self, request: Request) -> str:
        """Return the challenge, so that a refusal is 401 although these addresses need no token."""
        return super().get_authenticate_header(request) or challenge()

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        final: Response = super().finalize_response(request, response, *args, **kwargs)
        patch_cache_control(final, no_store=True)
        return final


class TokenView(PrivateView):
    @extend_schema(
        operation_id="sign_in",
        summary="Sign in",
        request=CredentialsSerializer,
        responses={200: TokensSerializer, 401: _REFUSED, 429: _TOO_MANY, 503: _DOWN},
        auth=[],
    )
    @sensitive_variables("given")
    def post(self, request: Request) -> Response:
        """Exchange a username and a password for an access token and a refresh token."""
        given = _validated(CredentialsSerializer, request)
        with explained():
            user = authenticate(
                request._request,
                username=User.normalize_username(given["username"]),
                password=given["password"],
            )
            if user is None:
                raise AuthenticationFailed("The username or the password is wrong.")
            response = _tokens(user, refresh.issue(user, now=timezone.now()))
        # Robust: a receiver that only notes a sign-in must not prevent it.
        user_logged_in.send_robust(sender=type(user), request=request._request, user=user)
        return response


class RefreshView(PrivateView):
    @extend_schema(
        operation_id="refresh",
        summary="Refresh the tokens",
        request=RefreshTokenSerializer,
        responses={
            200: TokensSerializer,
            401: _REFUSED,
            409: OpenApiResponse(description="Another request exchanged this token a moment ago."),
            503: _DOWN,
        },
        auth=[],
    )
    @sensitive_variables("given")
    def post(self, request: Request) -> Response:
        """Exchange a refresh token for a new pair. Each works once; using an old one ends the sign-in."""
        given = _validated(RefreshTokenSerializer, request)
        try:
            with explained():
                user, successor = guarded_call(refresh.rotate, given["refresh_token"], now=timezone.now())
        except refresh.RefreshRaceError as error:
            raise ProblemError(str(error), status=409) from error
        except refresh.RefreshError as error:
            raise AuthenticationFailed(str(error)) from error
        return _tokens(user, successor)


class SignOutView(PrivateView):
    @extend_schema(
        operation_id="sign_out",
        summary="Sign out",
        request=RefreshTokenSerializer,
        responses={
            204: OpenApiResponse(description="The sign-in has ended, or there was none."),
            503: _DOWN,
        },
        auth=[],
    )
    @sensitive_variables("given")
    def post(self, request: Request) -> Response:
        """End a sign-in: its refresh token works no longer. Access tokens run out within ten minutes."""
        given = _validated(RefreshTokenSerializer, request)
        with explained():
            refresh.end(given["refresh_token"], now=timezone.now())
        return Response(status=204)


class MeView(PrivateView):
    authentication_classes = [BearerAuthentication]
    permission_classes = [IsAuthenticated]

    @extend_schema(
        operation_id="me",
        summary="Who am I",
        responses={200: MeSerializer, 401: _REFUSED},
    )
    def get(self, request: Request) -> Response:
        """Tell who the access token says you are. No database is asked, so this works while it is down."""
        claims: access.AccessClaims = request.auth  # type: ignore[assignment]
        return Response(
            {
                "id": claims.user_id,
                "username": claims.username,
                "is_staff": claims.is_staff,
                "expires_at": datetime.fromtimestamp(claims.expires_at, UTC),
            }
        )


@sensitive_variables("serializer")
def _validated(serializer_class: type[Any], request: Request) -> dict[str, Any]:
    serializer = serializer_class(data=request.data)
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)


def _tokens(user: User, refresh_token: str) -> Response:
    return Response(
        {
            "access_token": access.mint(user),
            "token_type": "Bearer",
            "expires_in": int(access.LIFETIME),
            "refresh_token": refresh_token,
        }
    )
