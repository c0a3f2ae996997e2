"""What FOCUS 1.3 says of the columns of its Cost and Usage dataset that the export has.

From the column definitions at focus.finops.org/focus-specification: data type, and whether nulls
are allowed in rows of usage that correct nothing. Mandatory columns are all here; of the others
those that a provider of metered services with sub-accounts and tags has.
"""

import json
import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Literal

import pyarrow as pa

Kind = Literal["String", "Decimal", "Date/Time", "JSON"]

MANDATORY: Final[dict[str, tuple[Kind, bool]]] = {
    "BilledCost": ("Decimal", False),
    "BillingAccountId": ("String", False),
    "BillingAccountName": ("String", True),
    "BillingCurrency": ("String", False),
    "BillingPeriodEnd": ("Date/Time", False),
    "BillingPeriodStart": ("Date/Time", False),
    "ChargeCategory": ("String", False),
    "ChargeClass": ("String", True),
    "ChargeDescription": ("String", True),
    "ChargePeriodEnd": ("Date/Time", False),
    "ChargePeriodStart": ("Date/Time", False),
    "ContractedCost": ("Decimal", False),
    "EffectiveCost": ("Decimal", False),
    "HostProviderName": ("String", False),
    "InvoiceIssuerName": ("String", False),
    "ListCost": ("Decimal", False),
    "PricingQuantity": ("Decimal", False),
    "PricingUnit": ("String", False),
    "ProviderName": ("String", False),
    "PublisherName": ("String", False),
    "ServiceCategory": ("String", False),
    "ServiceName": ("String", False),
    "ServiceProviderName": ("String", False),
}
CONDITIONAL: Final[dict[str, tuple[Kind, bool]]] = {
    "BillingAccountType": ("String", False),
    "ChargeFrequency": ("String", False),
    "ConsumedQuantity": ("Decimal", False),
    "ConsumedUnit": ("String", False),
    "ContractedUnitPrice": ("Decimal", False),
    "ListUnitPrice": ("Decimal", False),
    "PricingCategory": ("String", False),
    "ServiceSubcategory": ("String", False),
    "SkuId": ("String", False),
    "SkuMeter": ("String", False),
    "SkuPriceId": ("String", False),
    "SubAccountId": ("String", False),
    "SubAccountName": ("String", False),
    "SubAccountType": ("String", False),
    "Tags": ("JSON", False),
}
COLUMNS: Final = {**MANDATORY, **CONDITIONAL, "x_TokenKind": ("String", False)}
# Columns of FOCUS in the order of the alphabet, then those of ours.
ORDER: Final = [*sorted([*MANDATORY, *CONDITIONAL]), "x_TokenKind"]
ALLOWED: Final = {
    "ChargeCategory": {"Usage"},
    "ChargeFrequency": {"Usage-Based"},
    "PricingCategory": {"Standard"},
    "ServiceCategory": {"AI and Machine Learning"},
    "ServiceSubcategory": {"Generative AI"},
    "BillingCurrency": {"USD"},
}


def _is_decimal(text: str) -> bool:
    try:
        return "E" not in text.upper() and Decimal(text).is_finite()
    except InvalidOperation:
        return False


def _is_time(text: str) -> bool:
    return re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", text) is not None


def _is_json(text: str) -> bool:
    return isinstance(json.loads(text), dict)


CSV_FORMS: Final[dict[str, Callable[[str], bool]]] = {
    "String": bool,
    "Decimal": _is_decimal,
    "Date/Time": _is_time,
    "JSON": _is_json,
}
ARROW_TYPES: Final[dict[str, Callable[[Any], bool]]] = {
    "String": pa.types.is_string,
    "Decimal": pa.types.is_decimal,
    "Date/Time": pa.types.is_timestamp,
    "JSON": pa.types.is_string,
}
