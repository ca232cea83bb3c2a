"""Networks that others bring: checked, trained and scored without being trusted, packed, verified and accepted."""
