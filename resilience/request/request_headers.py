"""The headers of requests that mean something here, beside those that every client sends.

Pages of other sites may send them (CORS), and `docs/stable.md` lists them.
"""

IDEMPOTENCY_KEY = "Idempotency-Key"
REQUEST_HEADERS = (IDEMPOTENCY_KEY, "If-Match", "If-None-Match", "X-Request-ID")
