"""What is said of files: of rows and columns, with stable codes, and of whole files; in Spanish, too.

`service_kit.http.sentences` says how the first kind is used, `service_kit.http.details` the second.
"""

from collections.abc import Mapping
from typing import Final

from service_kit.http.sentences import Reason

UNREADABLE_ROW: Final = "unreadable-row"


def _row(english: str, spanish: str) -> Reason:
    return Reason(UNREADABLE_ROW, english, spanish)


FILE_REASONS: Final = (
    # Of rows that cannot be read.
    _row("is longer than {size} KB", "tiene más de {size} KB"),
    _row("a quote is not closed", "tiene unas comillas sin cerrar"),
    _row(
        'a quoted cell goes on after its closing quote: a quote inside is written twice, ""',
        'tiene una celda que sigue tras las comillas de cierre: unas interiores se escriben dos veces, ""',
    ),
    _row(
        "has a line break in a cell that is not quoted",
        "tiene un salto de línea en una celda sin comillas",
    ),
    _row("is no CSV", "no es CSV"),
    _row("is no JSON, at character {at}", "no es JSON, en el carácter {at}"),
    _row("is no JSON object", "no es un objeto JSON"),
    _row("has a name more than once", "tiene un nombre más de una vez"),
    _row("has a name that is not known", "tiene un nombre que no se conoce"),
    _row(
        "has 1 cell where the header row has {needed}",
        "tiene 1 celda, y la fila de títulos tiene {needed}",
    ),
    _row(
        "has {count} cells where the header row has {needed}",
        "tiene {count} celdas, y la fila de títulos tiene {needed}",
    ),
    _row(
        "has a value in column {column}, which has no name in the header row",
        "tiene un valor en la columna {column}, que no tiene título",
    ),
    _row(
        "has a value in column {column}, which has no name",
        "tiene un valor en la columna {column}, que no tiene título",
    ),
    _row(
        "column {column} shows an error: correct the formula, or put a value in its place",
        "la columna {column} muestra un error: corrija la fórmula, o ponga un valor en su lugar",
    ),
    _row(
        "column {column} shows {shown}: correct the formula, or put a value in its place",
        "la columna {column} muestra {shown}: corrija la fórmula, o ponga un valor en su lugar",
    ),
    _row(
        "column {column} has a formula without a value: open the file in a spreadsheet and save it",
        "la columna {column} tiene una fórmula sin valor: abra el archivo en una hoja de cálculo y guárdelo",
    ),
    _row(
        "column {column} is a number of over {digits} digits, which a spreadsheet cuts: write it as a text",
        "la columna {column} es un número de más de {digits} cifras, que una hoja de cálculo corta: "
        "escríbalo como texto",
    ),
    Reason("no-field", "names no field to change", "no nombra ningún campo que cambiar"),
    # Kept of rows that an earlier version refused.
    _row("is no JSON: {detail}", "no es JSON"),
    _row("is no CSV: {detail}", "no es CSV"),
    Reason("one-file", "must be one file and nothing else", "debe ser un archivo y nada más"),
    # Of columns and sheets.
    Reason("missing-column", "is a column that every row needs", "es una columna que toda fila necesita"),
    Reason("missing-column", "is no column of the file", "no es una columna del archivo"),
    Reason(
        "missing-column",
        "names “{title}”, which is no column of the file",
        "nombra “{title}”, que no es una columna del archivo",
    ),
    Reason(
        "unknown-column",
        "is no column that is known: did you mean {field}? `map` (--map) says what it is, or nothing to "
        "leave it out; `columns` (--columns) takes some columns alone",
        "no es una columna conocida: ¿quizá {field}? `map` (--map) dice qué es, o nada para dejarla fuera; "
        "`columns` (--columns) toma solo algunas columnas",
    ),
    Reason(
        "unknown-column",
        "is no column that is known: `map` (--map) says what it is, or nothing to leave it out; `columns` "
        "(--columns) takes some columns alone",
        "no es una columna conocida: `map` (--map) dice qué es, o nada para dejarla fuera; `columns` "
        "(--columns) toma solo algunas columnas",
    ),
    Reason(
        "repeated-column",
        "is there more than once, as {titles}: keep one of them",
        "está más de una vez, como {titles}: deje una de ellas",
    ),
    Reason("repeated-column", "names a column twice", "nombra una columna dos veces"),
    Reason(
        "no-mapping",
        "must be TITLE=FIELD, or TITLE= to leave a column out",
        "debe ser TÍTULO=CAMPO, o TÍTULO= para dejar una columna fuera",
    ),
    Reason(
        "unknown-sheet",
        "is no sheet of the workbook, which has {names}",
        "no es una hoja del libro, que tiene {names}",
    ),
    Reason("unknown-sheet", "there is no sheet in the workbook", "no hay ninguna hoja en el libro"),
)

_SAVE: Final = "save it as .xlsx or CSV"
_GUARDE: Final = "guárdelo como .xlsx o CSV"
FILE_DETAILS: Final[Mapping[str, str]] = {
    # A part of a sentence is a sentence of this list, too, if it is to be told in Spanish.
    "row {number}": "la fila {number}",
    "the header row": "la fila de títulos",
    "row {number} is not valid": "la fila {number} no es válida",
    # Of files that are not what they are said to be.
    "the file {fault}": "el archivo {fault}",
    f"is an old Excel workbook (.xls), or one with a password: {_SAVE}": (
        f"es un libro antiguo de Excel (.xls), o uno con contraseña: {_GUARDE}"
    ),
    "is packed with gzip: say so with Content-Encoding: gzip, or end its name with .gz": (
        "está comprimido con gzip: dígalo con Content-Encoding: gzip, o termine su nombre en .gz"
    ),
    "is packed with {packer}: unpack it, or pack it with gzip": (
        "está comprimido con {packer}: descomprímalo, o comprímalo con gzip"
    ),
    "is a {kind} archive: unpack it": "es un archivo {kind}: descomprímalo",
    f"is a PDF document: export the table from where it was made, and {_SAVE}": (
        f"es un documento PDF: exporte la tabla desde donde se hizo, y {_GUARDE}"
    ),
    "is a picture": "es una imagen",
    f"is a text document (RTF): {_SAVE}": f"es un documento de texto (RTF): {_GUARDE}",
    f"is a web page or XML, whatever its name says: open it in a spreadsheet, and {_SAVE}": (
        f"es una página web o XML, diga lo que diga su nombre: ábralo en una hoja de cálculo, y {_GUARDE}"
    ),
    "is JSON: send it as {types}, or name it .json or .ndjson": (
        "es JSON: envíelo como {types}, o póngale un nombre que termine en .json o .ndjson"
    ),
    f"is an OpenDocument spreadsheet: {_SAVE}": f"es una hoja de cálculo OpenDocument: {_GUARDE}",
    "is an Excel workbook: send it as {type}, or name it .xlsx": (
        "es un libro de Excel: envíelo como {type}, o póngale un nombre que termine en .xlsx"
    ),
    "looks like UTF-16 without a byte order mark: say charset={label} (--encoding {same})": (
        "parece UTF-16 sin marca de orden de bytes: diga charset={label} (--encoding {same})"
    ),
    "is no workbook: if it is CSV, send it as text/csv": "no es un libro: si es CSV, envíelo como text/csv",
    # Of texts that cannot be read.
    "the file cannot be read: {fault}": "no se puede leer el archivo: {fault}",
    "it {fault}": "{fault}",
    "goes on after the end of its array": "sigue tras el final de su lista",
    "ends within its array: it was cut off": "termina dentro de su lista: se cortó",
    "ends within an object: it was cut off": "termina dentro de un objeto: se cortó",
    "has a bracket that closes nothing": "tiene un corchete que no cierra nada",
    "{where} has a zero byte, at offset {offset}, which is no text": (
        "{where} tiene un byte cero, en la posición {offset}, que no es texto"
    ),
    "{where} is no UTF-8: byte {byte} at offset {offset}. If a spreadsheet wrote the file, it is probably "
    "windows-1252: say so with charset=windows-1252 in Content-Type, or with --encoding windows-1252": (
        "{where} no es UTF-8: byte {byte} en la posición {offset}. Si el archivo es de una hoja de cálculo, "
        "seguramente es windows-1252: dígalo con charset=windows-1252 en Content-Type, o con --encoding "
        "windows-1252"
    ),
    "{where} is no {encoding}: byte {byte} at offset {offset}. Say which encoding it is with charset in "
    "Content-Type, or with --encoding": (
        "{where} no es {encoding}: byte {byte} en la posición {offset}. Diga qué codificación es con charset "
        "en Content-Type, o con --encoding"
    ),
    "a row has no end within {size} MB": "una fila no termina dentro de {size} MB",
    "no row at its beginning can be read: row 1 {reason}": (
        "no se puede leer ninguna fila de su comienzo: la fila 1 {reason}"
    ),
    "the gzip data is damaged": "los datos de gzip están dañados",
    "the gzip data ends too early": "los datos de gzip terminan antes de tiempo",
    "the gzip data becomes over {times} times as large when unpacked": (
        "los datos de gzip ocupan más de {times} veces más al descomprimirlos"
    ),
    "there is no text encoding of that name here: try {names}": (
        "aquí no hay ninguna codificación de texto de ese nombre: pruebe {names}"
    ),
    # Of header rows.
    "there is no header row: the first row must name the columns, by fields or as people call them; `map` "
    "(--map) says what other names mean": (
        "no hay fila de títulos: la primera fila debe nombrar las columnas, por campo o por su nombre; `map` "
        "(--map) dice qué significan otros nombres"
    ),
    "there is no header row: {why}": "no hay fila de títulos: {why}",
    "the first row has no end": "la primera fila no termina",
    "the file is empty": "el archivo está vacío",
    "the header row is over {size} KB": "la fila de títulos tiene más de {size} KB",
    "the first row must name the columns": "la primera fila debe nombrar las columnas",
    "the columns are not as they must be": "las columnas no son como deben ser",
    # Of workbooks.
    "there is no such sheet": "no hay tal hoja",
    "a workbook may have {size} MB: send parts of it, or CSV": (
        "un libro puede tener {size} MB: envíelo por partes, o en CSV"
    ),
    "this process has no room for a workbook: {why}": "este proceso no tiene sitio para un libro",
    "the file is {kind}, and no workbook (.xlsx)": "el archivo es {kind}, y no un libro (.xlsx)",
    "a binary workbook (.xlsb): save it as .xlsx": "un libro binario (.xlsb): guárdelo como .xlsx",
    "a Word document: put the table into a workbook": "un documento de Word: ponga la tabla en un libro",
    "a presentation: put the table into a workbook": "una presentación: ponga la tabla en un libro",
    "an OpenDocument file: save it as .xlsx": "un archivo OpenDocument: guárdelo como .xlsx",
    "a document of Numbers or Pages: export it as .xlsx or CSV": (
        "un documento de Numbers o Pages: expórtelo como .xlsx o CSV"
    ),
    "a zip archive": "un archivo zip",
    "the workbook is damaged: {fault}": "el libro está dañado",
    "the workbook is encrypted: save it without a password": "el libro está cifrado: guárdelo sin contraseña",
    "the workbook is packed as no spreadsheet packs it: save it anew as .xlsx": (
        "el libro está comprimido como no lo hace ninguna hoja de cálculo: guárdelo de nuevo como .xlsx"
    ),
    "a part of the workbook becomes over {ratio} times as large when unpacked": (
        "una parte del libro se hace más de {ratio} veces mayor al descomprimirla"
    ),
    "the workbook is over {size} GB when it is unpacked": "el libro tiene más de {size} GB al descomprimirlo",
    "the workbook has a tag without an end": "el libro tiene una etiqueta sin final",
    "the workbook has tags within tags, deeper than any spreadsheet writes": (
        "el libro tiene etiquetas dentro de etiquetas, más hondas que las de cualquier hoja de cálculo"
    ),
    "the workbook has styles or the like of over {size} MB": (
        "el libro tiene estilos o similares de más de {size} MB"
    ),
    "the workbook has a document type (DOCTYPE), which no spreadsheet writes": (
        "el libro tiene un tipo de documento (DOCTYPE), que ninguna hoja de cálculo escribe"
    ),
    "the workbook has more texts than an import takes: save it as CSV": (
        "el libro tiene más textos de los que toma una importación: guárdelo como CSV"
    ),
    "the sheet has more than a worksheet can have": "la hoja tiene más de lo que puede tener una hoja",
    "the sheet has more than a worksheet can have: {rows} rows": (
        "la hoja tiene más de lo que puede tener una hoja: {rows} filas"
    ),
    "there is no room to unpack it: {why}": "no hay sitio para descomprimirlo",
    # Of imports.
    "this import was begun by somebody else: choose another id": (
        "esta importación la empezó otra persona: elija otro id"
    ),
    "this import was begun with another {names}: choose another id": (
        "esta importación se empezó con otro {names}: elija otro id"
    ),
    "other requests read this import: let one of them do it": (
        "otras peticiones leen esta importación: deje que lo haga una de ellas"
    ),
    "as many imports as this process reads at once are under way": (
        "ya están en curso tantas importaciones como lee a la vez este proceso"
    ),
    "imports need MongoDB, and this command API has no address of one": (
        "las importaciones necesitan MongoDB, y esta API de comandos no tiene la dirección de ninguno"
    ),
    "there is no import {id}": "no hay ninguna importación {id}",
    "the file has over {bytes} bytes, the budget of an import: send the rest as another file": (
        "el archivo tiene más de {bytes} bytes, lo que puede costar una importación: envíe el resto en otro"
    ),
    "the file has over {rows} rows, the budget of an import: send the rest as another file": (
        "el archivo tiene más de {rows} filas, lo que puede costar una importación: envíe el resto en otro"
    ),
    "reading it took over {seconds} s of the processor, the budget of a request: the same file with the same "
    "import_id goes on from here": (
        "leerlo costó más de {seconds} s del procesador, lo que puede costar una petición: el mismo archivo "
        "con el mismo import_id sigue desde aquí"
    ),
    "the file is not the one that was begun with": "el archivo no es aquel con el que se empezó",
    "another request goes on with this import": "otra petición sigue con esta importación",
    "the command API is being stopped": "la API de comandos se está parando",
    "the client has gone": "el cliente se ha ido",
    "the client sent nothing for {seconds} s": "el cliente no envió nada durante {seconds} s",
}
"""What is said of whole files and imports, in Spanish."""
