"""jsonschema, without the seconds that its import takes otherwise.

With the format extras installed, jsonschema compiles a grammar of IRIs when it is imported: 3.6 of 4.7 s on two cores,
in every cold Lambda. Only the formats iri and iri-reference need it, and no contract may use those.

Source: jsonschema 4.25.1, _format.py (each optional format is left out when its package does not import).
"""

from __future__ import annotations

import sys

_GRAMMAR = "rfc3987_syntax"

if _GRAMMAR in sys.modules:
    from jsonschema import Draft202012Validator, FormatChecker
    from jsonschema.exceptions import best_match
else:
    sys.modules[_GRAMMAR] = None  # type: ignore[assignment]
    try:
        from jsonschema import Draft202012Validator, FormatChecker
        from jsonschema.exceptions import best_match
    finally:
        del sys.modules[_GRAMMAR]

__all__ = ["Draft202012Validator", "FormatChecker", "best_match"]
