"""Writers with Idempotency-Keys keep a ledger while PostgreSQL is killed and frozen; then it is checked."""
