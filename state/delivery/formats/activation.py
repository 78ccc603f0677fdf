"""Files for advertising platforms, from changes of audiences: whom to add and whom to remove, hashed as they ask for.

Read from an audience's attributes: email, phone, first_name, last_name, country, zip, company, domain, page_url. A
value that is missing is empty; who has nothing that can be matched is left out. The platforms' pages that say how:
Google Ads help 7476159 (hashed data) and 7475964, its template for hashed files (names without blanks) and, of Gmail,
the Data Manager API's "Format user data"; Meta "customer file" help 2082575038703844 and its hashing guide; LinkedIn's
company list template.
"""

import re
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import NamedTuple

from phonenumbers import NumberParseException, PhoneNumberFormat, format_number, is_possible_number, parse

Attributes = Mapping[str, str]
_GMAIL = ("gmail.com", "googlemail.com")


class Form(NamedTuple):
    """columns: of the file. row: what stands in them for who has these attributes; None when nothing can be matched.
    identifiers: the columns by which, together, somebody is matched."""

    columns: tuple[str, ...]
    row: Callable[[str, Attributes], dict[str, str] | None]
    identifiers: tuple[tuple[str, ...], ...]


def hashed(value: str) -> str:
    """SHA-256 in lower-case hexadecimal; nothing of nothing."""
    return sha256(value.encode()).hexdigest() if value else ""


def google_email(value: str) -> str:
    """Lower case, without blanks; of Gmail without what it ignores, dots and all from a plus on."""
    text = re.sub(r"\s", "", value).lower()
    name, at, domain = text.rpartition("@")
    return f"{name.partition('+')[0].replace('.', '')}@{domain}" if at and domain in _GMAIL else text


def e164(value: str) -> str:
    """A phone number with its country's code, as +DIGITS; nothing where the code is missing or an extension is there,
    for then it matches somebody else."""
    text = value.strip()
    try:
        number = parse(f"+{text[2:]}" if text.startswith("00") else text)
    except NumberParseException:
        return ""
    is_own = number.extension is None and is_possible_number(number)
    return format_number(number, PhoneNumberFormat.E164) if is_own else ""


def name_for_google(value: str) -> str:
    """Lower case, without blanks around it or in it."""
    return re.sub(r"\s", "", value).lower()


def name_for_meta(value: str) -> str:
    """Lower case, letters only, of whatever alphabet."""
    return "".join(letter for letter in value.lower() if letter.isalpha())


def google_customer_match(_: str, attributes: Attributes) -> dict[str, str] | None:
    """Email, phone and names hashed; country and zip as they are."""
    email, phone = google_email(attributes.get("email", "")), e164(attributes.get("phone", ""))
    first, last = (name_for_google(attributes.get(name, "")) for name in ("first_name", "last_name"))
    country, zip_code = attributes.get("country", "").strip().upper(), attributes.get("zip", "").strip()
    if not (email or phone or (first and last and country and zip_code)):
        return None
    values = (hashed(email), hashed(phone), hashed(first), hashed(last), country, zip_code)
    return dict(zip(GOOGLE.columns, values, strict=True))


def meta_custom_audience(_: str, attributes: Attributes) -> dict[str, str] | None:
    """All of them hashed; a phone number as digits without leading zeros, of a zip of the US its first five digits."""
    email = attributes.get("email", "").strip().lower()
    phone = e164(attributes.get("phone", "")).removeprefix("+")
    if not (email or phone):
        return None
    names = [name_for_meta(attributes.get(name, "")) for name in ("first_name", "last_name")]
    country = attributes.get("country", "").strip().lower()
    zip_code = re.sub(r"[\s-]", "", attributes.get("zip", "")).lower()
    zip_code = zip_code[:5] if country == "us" else zip_code
    values = (email, phone, *names, country, zip_code)
    return dict(zip(META.columns, map(hashed, values), strict=True))


def linkedin_companies(account: str, attributes: Attributes) -> dict[str, str] | None:
    """A company's name, the account's where none is given, its site's domain and its page. Nothing is hashed."""
    domain = attributes.get("domain", "").strip().lower()
    domain = re.sub(r"^https?://", "", domain).partition("/")[0].removeprefix("www.")
    company = attributes.get("company", "").strip() or account
    values = (company, domain, domain, attributes.get("page_url", "").strip(), attributes.get("country", "").strip())
    return dict(zip(LINKEDIN.columns, values, strict=True))


GOOGLE = Form(
    ("Email", "Phone", "First Name", "Last Name", "Country", "Zip"),
    google_customer_match,
    (("Email",), ("Phone",), ("First Name", "Last Name", "Country", "Zip")),
)
META = Form(("email", "phone", "fn", "ln", "country", "zip"), meta_custom_audience, (("email",), ("phone",)))
LINKEDIN = Form(
    ("companyname", "companywebsite", "companyemaildomain", "linkedincompanypageurl", "companycountry"),
    linkedin_companies,
    (("companyname",), ("companywebsite",), ("companyemaildomain",), ("linkedincompanypageurl",)),
)
FORM_BY_NAME = {"google-customer-match": GOOGLE, "meta-custom-audience": META, "linkedin-companies": LINKEDIN}
