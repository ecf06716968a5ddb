"""Regexes of what a cell of each kind looks like, for `tabveil.pii.checks.matches` (RE2)."""

from __future__ import annotations

EMAIL = r"[\p{L}0-9._%+'-]+@[\p{L}0-9-]+(?:\.[\p{L}0-9-]+)*\.\p{L}{2,24}"
IBAN = r"[A-Za-z]{2}\d{2}(?:[ -]?[A-Za-z0-9]){11,30}"
MAC = r"[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}"
MAC_DOTTED = r"[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}"
KEY_BEGIN = r"AKIA|ASIA|gh[pousr]_|xox[abprs]-|sk_(?:live|test)_|AIza|eyJ"
COOKIE = (
    r"[\w.-]{0,40}(?:[Ss][Ee][Ss][Ss]|[Ss][Ii][Dd]|[Aa]uth|[Tt]oken|[Cc]srf|JWT)[\w.-]{0,40}=[^;\s]{8,}(?:;.*)?"
    r"|[\w.-]{1,60}=[^;\s]{8,};.*(?i:httponly|samesite|max-age|secure).*"
)
MRZ = r"P[A-Z<][A-Z]{3}[A-Z0-9<]{39}(?:\s?[A-Z0-9<]{44})?"  # ICAO 9303, machine-readable zone of a passport
_INDIAN_STATES = (
    "AN|AP|AR|AS|BR|CG|CH|DD|DL|DN|GA|GJ|HP|HR|JH|JK|"
    "KA|KL|LA|LD|MH|ML|MN|MP|MZ|NL|OD|OR|PB|PY|RJ|SK|TG|TN|TR|TS|UA|UK|UP|WB"
)
UK_LICENCE = r"(?i)[A-Z9]{5}\d(?:[05][1-9]|[16][0-2])(?:[0-2]\d|3[01])\d[A-Z9]{2}[A-Z0-9][A-Z]{2}"
INDIAN_LICENCE = rf"(?i:{_INDIAN_STATES})[ -]?\d{{2}}[ -]?(?:19|20)\d{{2}}[ -]?\d{{7}}"
SERIAL = "[CFGHJKLMNPRTVWXYZcfghjklmnprtvwxyz0-9]{8}[0-9]?"
PHONE = r"[+(]{0,2}\d[\d ()./-]{5,24}\d(?: ?(?:x|ext\.?) ?\d{1,6})?"
SSN_WORDS = ("ssn", "social_security", "social_security_number", "socsec", "social_sec", "social_security_no")
KEYS = (
    r"(?:AKIA|ASIA)[A-Z0-9]{16}|gh[pousr]_[A-Za-z0-9]{36}|xox[abprs]-[A-Za-z0-9-]{10,}|sk_(?:live|test)_[A-Za-z0-9]{16,}"
    r"|AIza[A-Za-z0-9_-]{35}|eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}"
)
GROUPED_CARD = r"\d{4}[ -]\d{4}[ -]\d{4}[ -]\d{1,7}|\d{4}[ -]\d{6}[ -]\d{5}"
NINO = r"(?i)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z](?: ?\d{2}){3} ?[A-D]"
PAN = r"(?i)[A-Z]{3}[ABCFGHLJPTK][A-Z]\d{4}[A-Z]"
POINT = r"[(\[]?-?\d{1,2}\.\d{3,}(?: ?[,;] ?| )-?\d{1,3}\.\d{3,}[)\]]?"
NAME_SHAPE = r"[a-z][a-z'’.-]*(?:,? [a-z][a-z'’.-]*){0,6}"  # over folded text
ID_SHAPE = r"[A-Za-z]{0,4}[ -]?\d[A-Za-z0-9 ./-]{3,24}|[A-Za-z0-9]{6,20}"
_EN_STREET = (  # USPS Publication 28 suffixes, singular and plural
    r"(?:street|st|avenue|ave|road|rd|boulevard|blvd|lane|ln|drive|dr|court|ct|place|pl|square|terrace|way|parkway|pkwy|"
    r"highway|hwy|circle|trail|crescent|close|mews|apt|suite|unit|manor|station|ville|plaza|isle|heights|alley|branch|"
    r"bridge|brook|burg|bypass|camp|canyon|cape|causeway|center|cliff|club|common|corner|course|cove|creek|crest|crossing|"
    r"crossroad|curve|dale|dam|divide|estate|expressway|extension|fall|ferry|field|flat|ford|forest|forge|fork|fort|"
    r"freeway|garden|gateway|glen|green|grove|harbor|haven|hill|hollow|inlet|island|junction|key|knoll|lake|land|landing|"
    r"light|loaf|lock|lodge|loop|mall|meadow|mill|mission|motorway|mount|mountain|neck|orchard|oval|overpass|park|pass|"
    r"passage|path|pike|pine|plain|point|port|prairie|radial|ramp|ranch|rapid|rest|ridge|river|route|row|rue|run|shoal|"
    r"shore|skyway|spring|spur|stravenue|stream|summit|throughway|trace|track|trafficway|tunnel|turnpike|underpass|union|"
    r"valley|via|viaduct|view|village|vista|walk|wall|well)(?:s|es)?"
)
# street words of other languages, before or behind the name (de, vi, fr, es, it, pt, nl, pl, sv, en_IN), folded
_BEHIND = r"strasse|str\.|weg|platz|allee|gasse|ring|damm|ufer|chaussee|straat|laan|gracht|kade|plein|gatan|vagen"
_BEFORE = (
    r"rue|avenue|boulevard|bd|chemin|impasse|allee|place|quai|cours|route de|calle|c/|avenida|avda\.?|av\.|paseo|plaza|"
    r"camino|ronda|carrer|cuesta|glorieta|pasaje|acceso|alameda|callejon|canada|rambla|urbanizacion|vial|via|viale|piazza|"
    r"corso|largo|vicolo|strada|contrada|borgo|rua|travessa|praca|ul\.|ulica|al\.|aleja|plac|os\."
)
_VIETNAMESE = r"duong|pho|ngo|ngach|hem|khom|to|thon|ap|day|khu"
_INDIAN = r"nagar|marg|chowk|colony|society|layout|ganj|road|street|path|circle|zila"
_NUMBER = r"\d{1,5}(?:[ /-]?[a-z])?(?:[/-]\d{1,4})?"
_REST = r"[^@:;!?]*"
ADDRESS = "|".join(  # over folded text
    (
        rf"\d{{1,6}}[a-z]? [a-z0-9 .,'-]*\b{_EN_STREET}\b{_REST}",
        rf"[a-z0-9 .,'-]*\d[a-z0-9 .,'-]* {_EN_STREET},? {_REST}",
        rf"[a-z .-]*(?:{_BEHIND}) ?{_NUMBER}\b{_REST}",
        rf"(?:so |so nha |ngo |hem )?[\d/]+[a-z]? ?,? ?(?:{_VIETNAMESE})\b{_REST}",
        r"so [\d/]+[a-z]?\b.*",
        r"\d{1,4}(?:/\d{1,4})+ [a-z]+(?: [a-z]+){1,3}",
        rf"(?:\d{{1,5}}(?: bis| ter)?,? )?(?:{_BEFORE}) [a-z '.-]+(?:\d.*)?",
        rf"(?:h\.? ?no\.? ?|flat |plot )?\d{{1,5}}(?:/\d{{1,4}})?[ ,]+[a-z .,'-]*\b(?:{_INDIAN})\b{_REST}",
        r"[a-z][a-z .'-]+,? \d{1,4} ?[a-z]?(?:/\d{1,3})?,? \d{4,6} [a-z][a-z .'()/-]+",  # street 12, 12345 town
    )
)
# letters, a number, a comma and a postcode: an address in some language, if most of a column reads so
SEVERAL_LINES = r"[^@:;]*\d[^@:;]*[a-z]{3}[^@:;]*(?:[ ,-]\d{4,6}\b|\b[a-z]{1,2}\d[a-z0-9]? ?\d[a-z]{2}\b)[^@:;]*"
