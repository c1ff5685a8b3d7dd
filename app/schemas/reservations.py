"""The shapes of a reservation of ids."""

from __future__ import annotations

from typing import Any, ClassVar

from marshmallow import Schema, fields, validate

from app.domain.reservations import MAX_RESERVED_IDS
from app.schemas.values import Identifier


class NewReservationSchema(Schema):
    """The body that reserves ids."""

    EXAMPLES: ClassVar[list[dict[str, Any]]] = [{"count": 3}]

    count = fields.Integer(
        strict=True,
        required=True,
        validate=validate.Range(1, MAX_RESERVED_IDS),
        metadata={"description": "The number of ids."},
    )


class ReservationSchema(Schema):
    """Reserved ids."""

    EXAMPLES: ClassVar[list[dict[str, Any]]] = [
        {
            "ids": [5, 6, 7],
            "reservation": "WzE3OTg0NTkyMDAsW1s1LDNdXV0.7cPcXlqN0Vd6tZWoTqtBaVHVcgpSl2ezWTlF1kIf0wc",
            "expires_at": "2026-12-28T12:00:00.000000Z",
        }
    ]

    ids = fields.List(Identifier(), required=True, metadata={"description": "The ids, which nobody else is given."})
    reservation = fields.String(
        required=True,
        metadata={"description": "The proof of the ids, for batches that create items under them."},
    )
    expires_at = fields.String(
        required=True, metadata={"description": "The end of the reservation.", "format": "date-time"}
    )
