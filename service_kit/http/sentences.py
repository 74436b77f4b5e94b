"""What is said of fields that are refused: each sentence's stable code, and its Spanish form.

Validators say why in English, where they stand. Here that sentence gets its code and its translation; a test
finds every sentence that has none.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Reason:
    """One kind of reason.

    Attributes:
        code: Stable: programs may go by it.
        english: With `{names}` for what differs from case to case.
        spanish: With all of those names, or some.
    """

    code: str
    english: str
    spanish: str


REASONS: Final = (
    # Of any field.
    Reason("missing", "is missing", "falta"),
    Reason("empty", "must not be empty", "no puede estar vacío"),
    Reason("too-short", "must have {least} characters or more", "debe tener {least} caracteres o más"),
    Reason(
        "too-long",
        "must not be longer than {max_length} characters",
        "no puede tener más de {max_length} caracteres",
    ),
    Reason("no-text", "must be text", "debe ser texto"),
    Reason("no-integer", "must be a whole number", "debe ser un número entero"),
    Reason("no-boolean", "must be true or false", "debe ser true o false"),
    Reason("no-object", "must be an object", "debe ser un objeto"),
    Reason("no-list", "must be a list", "debe ser una lista"),
    Reason("no-uuid", "must be a UUID", "debe ser un UUID"),
    Reason("too-small", "must be {least} or more", "debe ser {least} o más"),
    Reason("too-large", "must be {most} or less", "debe ser {most} o menos"),
    Reason("no-choice", "must be one of {choices}", "debe ser uno de {choices}"),
    Reason(
        "too-many-values", "must not have more than {most} values", "no puede tener más de {most} valores"
    ),
    Reason("not-valid", "is not valid", "no es válido"),
    # Of what is not known.
    Reason(
        "unknown-parameter",
        "unknown parameter `{name}`: did you mean `{known}`?",
        "parámetro desconocido `{name}`: ¿quizá `{known}`?",
    ),
    Reason("unknown-parameter", "unknown parameter `{name}`", "parámetro desconocido `{name}`"),
    Reason(
        "unknown-field",
        "unknown field `{name}`: did you mean `{known}`?",
        "campo desconocido `{name}`: ¿quizá `{known}`?",
    ),
    Reason("unknown-field", "unknown field `{name}`", "campo desconocido `{name}`"),
    Reason("unknown-field", "must be of {names}", "debe ser de {names}"),
    Reason(
        "unknown-sort",
        "must be of {names}; with - before one, in reverse",
        "debe ser de {names}; con - delante, al revés",
    ),
    Reason("unknown-name", "is not known", "no se conoce"),
    Reason("more-errors", "has {count} more errors", "tiene {count} errores más"),
    Reason("given-twice", "is given twice", "está dos veces"),
    Reason("not-alone", "goes only with {other}", "solo va con {other}"),
    Reason("not-together", "cannot be given beside {other}", "no puede ir junto a {other}"),
    Reason(
        "no-pages",
        "does not go with an export: it has no pages",
        "no va con una exportación: no tiene páginas",
    ),
    # Of a person's fields.
    Reason("not-removable", "cannot be removed", "no se puede quitar"),
    Reason("no-letter", "must hold a letter", "debe contener una letra"),
    Reason(
        "unprintable-character",
        "holds the character {character}, which cannot be printed",
        "contiene el carácter {character}, que no se puede imprimir",
    ),
    Reason(
        "unprintable-character",
        "holds a character that cannot be printed",
        "contiene un carácter que no se puede imprimir",
    ),
    Reason(
        "no-name-character",
        "may hold letters, spaces, apostrophes, hyphens, not {character}",
        "puede contener letras, espacios, apóstrofos y guiones, no {character}",
    ),
    Reason(
        "no-email",
        "is no e-mail address: it must have one @, with a name before it and a domain after it",
        "no es una dirección de correo electrónico: debe tener una @, delante un nombre y detrás un dominio",
    ),
    Reason(
        "no-email",
        "is no e-mail address: what stands after the @ is no domain, such as example.org",
        "no es una dirección de correo electrónico: lo que va tras la @ no es un dominio, como example.org",
    ),
    Reason(
        "no-email",
        "is no e-mail address: what stands before the @ cannot stand there",
        "no es una dirección de correo electrónico: lo que va delante de la @ no puede estar ahí",
    ),
    Reason("no-email", "is no e-mail address: {detail}", "no es una dirección de correo electrónico"),
    Reason(
        "no-phone",
        "is no phone number: write digits, and ext. before an extension",
        "no es un número de teléfono: escriba cifras, y ext. antes de una extensión",
    ),
    Reason("no-phone", "is no phone number: {detail}", "no es un número de teléfono"),
    Reason(
        "phone-not-in-use",
        "is no number in use: check the digits, or begin with + and the country",
        "no es un número en uso: revise las cifras, o empiece con + y el país",
    ),
    Reason(
        "unknown-word",
        "is none of {words} or their known names",
        "no es ninguno de {words} ni de sus otros nombres conocidos",
    ),
    Reason(
        "document-number",
        "must be 3 to 32 letters (A-Z), digits or inner dashes",
        "debe tener de 3 a 32 letras (A-Z), cifras o guiones interiores",
    ),
    Reason(
        "document-number-dot",
        "may have dots between thousands alone",
        "solo puede llevar puntos entre los millares",
    ),
    Reason(
        "document-number-exponent",
        "is a number as a spreadsheet shortens it: keep such cells as text",
        "es un número como lo abrevia una hoja de cálculo: guarde esas celdas como texto",
    ),
    Reason(
        "no-decimal",
        "must be a decimal number, such as 1250.5: a point, no commas",
        "debe ser un número decimal, como 1250.5: con punto y sin comas",
    ),
    Reason(
        "too-many-digits",
        "must not have more than {most} digits before or after the point",
        "no puede tener más de {most} cifras antes o después del punto",
    ),
    Reason(
        "no-uri",
        "must be a whole address, such as https://example.org/page",
        "debe ser una dirección completa, como https://example.org/page",
    ),
    Reason("no-scope", "wants the scope {scope}", "necesita el ámbito {scope}"),
    Reason("date-form", "must be YYYY-MM-DD or DD-MM-YYYY", "debe ser AAAA-MM-DD o DD-MM-AAAA"),
    Reason("no-such-day", "is no day of the calendar", "no es un día del calendario"),
    Reason("date-out-of-range", "must lie between 1850 and today", "debe estar entre 1850 y hoy"),
    # Of times, positions and cursors.
    Reason("no-offset", "must have an offset, Z say", "debe llevar una diferencia horaria, por ejemplo Z"),
    Reason("time-out-of-range", "lies outside the years 1 to 9999", "está fuera de los años 1 a 9999"),
    Reason(
        "no-time",
        "is no time as RFC 3339 has it: 2026-01-31T08:00:00Z, say",
        "no es una hora como la de RFC 3339: por ejemplo, 2026-01-31T08:00:00Z",
    ),
    Reason(
        "no-time",
        "must be a time as 2026-01-31T08:00:00Z, or a day as 2026-01-31",
        "debe ser una hora como 2026-01-31T08:00:00Z, o un día como 2026-01-31",
    ),
    Reason(
        "unknown-time-zone",
        "is no time zone: write America/Bogota, -05:00 or UTC, for example",
        "no es una zona horaria: escriba America/Bogota, -05:00 o UTC, por ejemplo",
    ),
    Reason(
        "unknown-time-zone", "is no time zone: did you mean {zone}?", "no es una zona horaria: ¿quizá {zone}?"
    ),
    Reason(
        "no-position",
        "is no position, which is an offset, a hyphen and the event's id",
        "no es una posición, que es un número, un guion y el id del evento",
    ),
    Reason("no-word", "has no word", "no tiene ninguna palabra"),
    Reason("no-cursor", "is no cursor of this API", "no es un cursor de esta API"),
    Reason(
        "other-cursor", "belongs to another order or other filters", "es de otro orden o de otros filtros"
    ),
    Reason(
        "long-cursor",
        "has values here that are too long for a cursor: sort by fewer fields",
        "tiene aquí valores demasiado largos para un cursor: ordene por menos campos",
    ),
    # Of headers.
    Reason(
        "no-key",
        "must be 1 to 255 visible ASCII characters, without spaces",
        "debe tener de 1 a 255 caracteres ASCII visibles, sin espacios",
    ),
    Reason(
        "no-id",
        "must be 1 to 128 letters (A-Z, a-z), digits or any of . _ : -",
        "debe tener de 1 a 128 letras (A-Z, a-z), cifras o alguno de . _ : -",
    ),
    Reason(
        "reserved-id",
        "must not begin with {prefix}, which imports begin with",
        "no puede empezar por {prefix}, que es de las importaciones",
    ),
    Reason(
        "no-entity-tags",
        'must be versions in quotes, "3" or "3", "4" say, or *',
        'debe ser versiones entre comillas, por ejemplo "3" o "3", "4", o *',
    ),
    Reason(
        "no-version-yet",
        "does not go with this request: there is no version yet",
        "no corresponde a esta petición: todavía no hay ninguna versión",
    ),
    # Of accounts.
    Reason(
        "account-name",
        "must be 2 to 254 letters (a-z), digits or, inside, any of . _ + @ -",
        "debe tener de 2 a 254 letras (a-z), cifras o, en el interior, alguno de . _ + @ -",
    ),
    Reason(
        "account-name-reserved",
        "is a name under which the system itself acts",
        "es un nombre con el que actúa el propio sistema",
    ),
    Reason(
        "password-length",
        "must have {least} to {most} characters",
        "debe tener de {least} a {most} caracteres",
    ),
    Reason(
        "password-easy",
        "is one of the first that would be guessed: take several unrelated words",
        "es de las primeras que se probarían: tome varias palabras sin relación",
    ),
    # Of images.
    Reason("ticket-expired", "has expired: ask for another one", "ha caducado: pida otro"),
    Reason("no-ticket", "is no upload ticket of this API", "no es un permiso de subida de esta API"),
    Reason("other-person", "is for another person", "es para otra persona"),
    Reason("other-subject", "was given to somebody else", "se dio a otra persona"),
    Reason("not-uploaded", "nothing was uploaded with it yet", "todavía no se ha subido nada con él"),
    Reason("other-ticket", "was not uploaded with this ticket", "no se subió con este permiso"),
    Reason("no-image", "is no PNG, JPEG or WebP", "no es PNG, JPEG ni WebP"),
    Reason("image-bytes", "has {bytes} bytes, more than {most}", "tiene {bytes} bytes, más de {most}"),
    Reason(
        "image-pixels",
        "has {width} x {height} pixels, over {most} in all",
        "tiene {width} x {height} píxeles, más de {most} en total",
    ),
    Reason(
        "image-metadata",
        "still has the metadata of a camera",
        "todavía tiene los metadatos de una cámara",
    ),
    Reason(
        "image-broken",
        "cannot be decoded: it is broken or not complete",
        "no se puede leer: está dañada o incompleta",
    ),
    Reason("image-pixels", "has more than {most} pixels", "tiene más de {most} píxeles"),
    Reason("image-pixels", "cannot be made small enough", "no se puede hacer lo bastante pequeña"),
    Reason(
        "one-file",
        "must be one file, named {name}, and nothing else",
        "debe ser un archivo, de nombre {name}, y nada más",
    ),
)
