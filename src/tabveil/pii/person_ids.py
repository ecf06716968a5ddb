"""Headers that announce the id of a person, customer, account or contract: published, it names somebody.

By words alone, since a customer with thirty transactions makes an id look like a category: an owner's word beside an
id's word (``customer_id``, ``Kundennummer``, ``mã khách hàng``). ``branch_id``, ``product_code``, ``customer_type_id``
have none beside it, and are categories.
"""

from __future__ import annotations

import re
from enum import Enum

from tabveil.pii.identifiers import fold_header


class Owner(str, Enum):
    """Whose id it is."""

    person = "person"  # of the people a table is about
    other = "other"  # an account, a contract, a member of staff


_PEOPLE = (
    "customer|cust|client|clnt|member|user|usr|person|people|borrower|coborrower|guarantor|cosigner|applicant|"
    "holder|cardholder|accountholder|policyholder|subscriber|insured|debtor|creditor|beneficiary|payee|payer|sender|"
    "recipient|tenant|owner|patient|student|participant|respondent|voter|taxpayer|guest|visitor|passenger|"
    "player|cif|"
    "kunde|kunden|personen|mitglied|mitglieds|patienten|schuldner|debitor|debitoren|kreditnehmer|darlehensnehmer|"
    "versicherten|nutzer|benutzer|teilnehmer|inhaber|buerge|buergen|antragsteller|matrikel|"
    "personne|emprunteur|adherent|abonne|utilisateur|membre|assure|titulaire|beneficiaire|"
    "cliente|persona|usuario|socio|titular|prestatario|miembro|asegurado|"
    "khach|khach_hang|kh|nguoi_dung|nguoi_vay|thanh_vien"
)
_CONTRACTS = (
    "account|acct|acc|contract|loan|mortgage|policy|card|application|subject|party|citizen|national|passport|konto|vertrag|vertrags|kredit|darlehen|darlehens|"
    "versicherungs|policen|antrag|antrags|compte|contrat|pret|cuenta|contrato|prestamo|poliza|tai_khoan|tk|hop_dong|hd|"
    "khoan_vay"
)
_STAFF = (
    "employee|emp|staff|worker|agent|officer|manager|advisor|adviser|teller|personal|mitarbeiter|salarie|employe|"
    "empleado|nhan_vien|nv"
)
_COUNTED = "client|cliente|compte|contrat|cuenta|contrato|adherent|assure"  # after `num`, which else means "how many"
_NUMBERED = "tai_khoan|tk|hop_dong|hd"  # after `so`, which else means "how many"
_ID = (
    "id|ids|uid|uuid|guid|key|no|nr|num|nbr|number|nummer|ident|identifier|identification|kennung|kennziffer|ref|"
    "reference"
)
_NEUTRAL = "unique|internal|external|ext|global|master|main|primary|source|system|serial|reference|ref|crm"
_TAIL = r"(?:_?\d+|_hash|_hashed|_masked|_encrypted|_anon)*$"
_BEFORE = "id|ma|ma_so|numero|nro|no|codigo|cod|code|identifiant|identificador|ref|reference|matricule"


def _pattern(owners: str, ids: str) -> re.Pattern[str]:
    owned = rf"(?:^|_)(?:{owners})_?(?:(?:{_NEUTRAL})_)*(?:{ids}){_TAIL}"
    named = rf"(?:^|_)(?:{_BEFORE})_(?:(?:de|du|d|del|de_la|la)_)?(?:{owners}){_TAIL}"
    return re.compile(f"{owned}|{named}")


_BY_OWNER = {
    Owner.person: re.compile(_pattern(_PEOPLE, f"{_ID}|code").pattern + rf"|^cif$|(?:^|_)num_(?:{_COUNTED}){_TAIL}"),
    Owner.other: re.compile(
        # a code of an account or a contract is as a rule its kind
        "|".join((_pattern(_CONTRACTS, _ID).pattern, _pattern(_STAFF, f"{_ID}|code").pattern))
        + rf"|(?:^|_)so_(?:{_NUMBERED}){_TAIL}"
    ),
}


def id_owner(header: str) -> Owner | None:
    """Whose unique id a column holds by its header; None if it announces none."""
    folded = fold_header(header)
    return next((owner for owner, pattern in _BY_OWNER.items() if pattern.search(folded)), None)
