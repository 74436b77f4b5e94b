"""What problems say of a whole request, in Spanish: their titles, and what happened.

Errors say what happened in English, where they are raised, as validators say of fields. A test finds every
sentence that has no line here or in `service_kit.http.file_sentences`. What stands in braces differs from
case to case; a part that is a line of its own is told in Spanish, too.
"""

from collections.abc import Mapping
from typing import Final

TITLES: Final[Mapping[str, str]] = {
    "The body cannot be read": "No se puede leer el cuerpo",
    "Not authenticated": "Sin autenticar",
    "Not the right name and password": "El nombre y la contraseña no son los correctos",
    "Not allowed": "No permitido",
    "The password must be changed": "Hay que cambiar la contraseña",
    "Signing up is closed": "El registro está cerrado",
    "Not a good invitation": "La invitación no es válida",
    "Not found": "No encontrado",
    "No such account": "No hay tal cuenta",
    "No such person": "No hay tal persona",
    "No such hold": "No hay tal retención",
    "A hold forbids it": "Una retención lo prohíbe",
    "The person was erased": "La persona fue borrada definitivamente",
    "Not in this form": "No en esta forma",
    "The person exists": "La persona existe",
    "The account exists": "La cuenta existe",
    "No such version": "No hay tal versión",
    "Another import": "Otra importación",
    "The value is taken": "El valor está ocupado",
    "The ticket is used": "El permiso está usado",
    "The position is gone": "La posición ya no está",
    "Another version": "Otra versión",
    "Another image": "Otra imagen",
    "The body is too large": "El cuerpo es demasiado grande",
    "The address is too long": "La dirección es demasiado larga",
    "The content type is not supported": "El tipo de contenido no se admite",
    "The range lies beyond the end": "El intervalo queda más allá del final",
    "The idempotency key was used for another request": "La clave de idempotencia se usó en otra petición",
    "Invalid fields": "Campos no válidos",
    "Too many attempts": "Demasiados intentos",
    "Too many requests": "Demasiadas peticiones",
    "The header fields are too large": "Las cabeceras son demasiado grandes",
    "Invalid request": "Petición no válida",
    "Refused": "Rechazado",
    "No images here": "Aquí no hay imágenes",
    "The search takes too long": "La búsqueda tarda demasiado",
    "Not available": "No disponible",
    "No accounts are kept here": "Aquí no se llevan cuentas",
    "Internal error": "Error interno",
    # The framework's.
    "Not Found": "No encontrado",
    "Method Not Allowed": "Método no permitido",
}
"""By title in English, the title in Spanish."""

DETAILS: Final[Mapping[str, str]] = {
    # Of fields, parameters and headers as a whole.
    "the body is not valid": "el cuerpo no es válido",
    "a parameter is not valid": "un parámetro no es válido",
    "a header is not valid": "una cabecera no es válida",
    "a parameter is given twice": "un parámetro está dos veces",
    "the form is not valid": "el formulario no es válido",
    "the password is not taken": "la contraseña no se acepta",
    "the patch is empty: name at least one field": "el parche está vacío: nombre al menos un campo",
    # Of bodies and addresses.
    "the body is no JSON": "el cuerpo no es JSON",
    "the body is no JSON, at line {line}, column {column}": (
        "el cuerpo no es JSON, en la línea {line}, columna {column}"
    ),
    "the body has the key {key} twice": "el cuerpo tiene la clave {key} dos veces",
    "the body was cut off": "el cuerpo se cortó",
    "the packed body was cut off": "el cuerpo comprimido se cortó",
    "the body did not come within {seconds} s": "el cuerpo no llegó en {seconds} s",
    "the body cannot be unpacked": "el cuerpo no se puede descomprimir",
    "something follows the packed body": "algo sigue al cuerpo comprimido",
    "the body is gzip, and its Content-Encoding does not say so": (
        "el cuerpo es gzip, y su Content-Encoding no lo dice"
    ),
    "the body is not gzip, though its Content-Encoding says so": (
        "el cuerpo no es gzip, aunque su Content-Encoding lo dice"
    ),
    "the body is in UTF-8, and its charset says something else: leave that out": (
        "el cuerpo está en UTF-8, y su charset dice otra cosa: quítelo"
    ),
    "the body is not in its charset, from byte {byte} on": (
        "el cuerpo no está en su charset, desde el byte {byte}"
    ),
    "the charset is not known here: send the body in UTF-8": (
        "el charset no se conoce aquí: envíe el cuerpo en UTF-8"
    ),
    "send the body as it is, or packed with gzip": "envíe el cuerpo tal cual, o comprimido con gzip",
    "send the form as it is": "envíe el formulario tal cual",
    "send at most {bytes} bytes": "envíe como mucho {bytes} bytes",
    "send one of {types}": "envíe uno de {types}",
    "send {type} with the image as the field {name}": "envíe {type} con la imagen en el campo {name}",
    "the form is not as its Content-Type says": "el formulario no es como dice su Content-Type",
    "the form has no end: it was cut off": "el formulario no termina: se cortó",
    "the form goes on after its file: send one file and nothing else": (
        "el formulario sigue tras su archivo: envíe un archivo y nada más"
    ),
    "the Content-Type of a form names its boundary: {example}": (
        "el Content-Type de un formulario nombra su límite: {example}"
    ),
    "this can be had as {types}": "esto se puede tener como {types}",
    "there is nothing at this address": "no hay nada en esta dirección",
    "path and query are longer than {bytes} bytes": "la ruta y la consulta tienen más de {bytes} bytes",
    "the header fields are longer than {bytes} bytes": "las cabeceras tienen más de {bytes} bytes",
    "the head of the request is longer than {bytes} bytes": (
        "el comienzo de la petición tiene más de {bytes} bytes"
    ),
    "more than {number} requests in {seconds} s": "más de {number} peticiones en {seconds} s",
    # Of people.
    "there is no person {id}": "no hay ninguna persona {id}",
    "there is no person with this document": "no hay ninguna persona con este documento",
    "there was no person {id}": "no había ninguna persona {id}",
    "there is no person {id}, and to create one lacks {names}": (
        "no hay ninguna persona {id}, y para crearla falta {names}"
    ),
    "nothing is known of a person {id}": "no se sabe nada de una persona {id}",
    "nothing waits of a person {id}": "no hay nada en espera de una persona {id}",
    "the person {id} was erased": "la persona {id} fue borrada definitivamente",
    "the person {id} was erased: the id cannot be used again": (
        "la persona {id} fue borrada definitivamente: el id no se puede volver a usar"
    ),
    "a hold forbids erasing the person: {holds}": "una retención prohíbe borrar a la persona: {holds}",
    "there is no hold {reference}": "no hay ninguna retención {reference}",
    "the id {id} is already in use": "el id {id} ya está en uso",
    "the person {id} was deleted with version {version}": (
        "la persona {id} se eliminó con la versión {version}"
    ),
    "the person {id} was deleted: the id cannot be used again": (
        "la persona {id} se eliminó: el id no se puede volver a usar"
    ),
    "the person is at version {version}, and was never at {other}": (
        "la persona está en la versión {version}, y nunca estuvo en la {other}"
    ),
    "the person is at version {version}, not {others}": (
        "la persona está en la versión {version}, no en {others}"
    ),
    "one that is named by a strong ETag": "una que nombre un ETag fuerte",
    "the person is not at version {version} yet": "la persona todavía no está en la versión {version}",
    # Of rejections that an earlier version kept: what is said now stands in the person schema.
    "another person has this e-mail address": "otra persona tiene esta dirección de correo",
    "the same Idempotency-Key came before, with other content or another If-Match": (
        "la misma Idempotency-Key llegó antes, con otro contenido u otro If-Match"
    ),
    "it was a dead letter, and a later command has changed the person meanwhile": (
        "era un mensaje muerto, y un comando posterior ha cambiado a la persona entretanto"
    ),
    "dropped by {actor} while the person was parked": (
        "descartado por {actor} mientras la persona estaba aparcada"
    ),
    "chunk {n} of the stored image {name} is damaged": "la parte {n} de la imagen {name} está dañada",
    "version {version} of {id} is damaged: {how}": "la versión {version} de {id} está dañada: {how}",
    "the sealed values do not open with the person's key": (
        "los valores sellados no se abren con la clave de la persona"
    ),
    "other values were sealed than it names": "se sellaron otros valores que los que nombra",
    "the values are not those that it commits to": "los valores no son aquellos con los que se compromete",
    "there is no key for {number} people with events, {id} for one": (
        "falta la clave de {number} personas con eventos, {id} entre ellas"
    ),
    "there is no key for {id}, who has events": "falta la clave de {id}, que tiene eventos",
    "{reason}; it is the key of {id}": "{reason}; es la clave de {id}",
    "the secrets of claims are not read yet": "aún no se han leído los secretos de las reservas",
    "there is no secret that names claims: a worker makes it when it starts": (
        "no hay ningún secreto que nombre las reservas: un proceso de trabajo lo crea al arrancar"
    ),
    "there is no transport key yet: a worker makes it when it starts": (
        "todavía no hay ninguna clave de transporte: un proceso de trabajo la crea al arrancar"
    ),
    "there is no secret of ids yet: a worker makes it when it starts": (
        "todavía no hay ningún secreto de identificadores: un proceso de trabajo lo crea al arrancar"
    ),
    "the key of {id} is neither there nor destroyed": "la clave de {id} ni está ni fue destruida",
    "the image waited too long to be applied: send it again": (
        "la imagen esperó demasiado para aplicarse: envíela de nuevo"
    ),
    "the command is not decided yet, or was never accepted": (
        "el comando todavía no está decidido, o nunca se aceptó"
    ),
    # Of access.
    "send Authorization: Bearer <token>": "envíe Authorization: Bearer <token>",
    "the token has expired": "el token ha caducado",
    "the token is no access token": "el token no es un token de acceso",
    "the token is not good yet, by this service's clock": (
        "el token todavía no vale, según el reloj de este servicio"
    ),
    "the token is not valid here": "el token no es válido aquí",
    "the token names no subject": "el token no nombra a nadie",
    "the token's life is longer than the {seconds} s that are taken here": (
        "la vida del token pasa de los {seconds} s que se aceptan aquí"
    ),
    "the token issuer's keys cannot be had now": "las claves del emisor del token no se pueden obtener ahora",
    "this needs the scope {scope}": "esto necesita el ámbito {scope}",
    "the field {name} wants the scope {scope}": "el campo {name} necesita el ámbito {scope}",
    "the name and the password do not belong together": "el nombre y la contraseña no se corresponden",
    "this password is good for once: send new_password with it": (
        "esta contraseña vale una vez: envíe new_password con ella"
    ),
    "the refresh token is not good any more: log in": "el token de renovación ya no vale: inicie sesión",
    "too many attempts, of late: wait before the next one": (
        "fallaron demasiados intentos: espere antes del siguiente"
    ),
    "too many passwords are being checked at once": "se comprueban demasiadas contraseñas a la vez",
    "there is no account {name}": "no hay ninguna cuenta {name}",
    "the name {name} is taken": "el nombre {name} está ocupado",
    "the invitation is not known, was used, or is over": "la invitación no se conoce, se usó o ha terminado",
    "the invitation was used": "la invitación se usó",
    "accounts are made by an administrator": "las cuentas las hace un administrador",
    "an account is made with an invitation: send it as invitation": (
        "una cuenta se hace con una invitación: envíela como invitation"
    ),
    "no accounts are kept here: {advice}": "aquí no se llevan cuentas",
    "another issuer signs the tokens that are taken here, and publishes its keys": (
        "los tokens que se aceptan aquí los firma otro emisor, que publica sus claves"
    ),
    # Of images.
    "no images are kept here: see the setting {name}": "aquí no hay imágenes: vea el ajuste {name}",
    "no images are kept here: see the settings {names}": "aquí no hay imágenes: vea los ajustes {names}",
    "there is no such image, or no more": "no hay tal imagen, o ya no",
    "the image is another one than If-Match says": "la imagen es otra de la que dice If-Match",
    "the image has {bytes} bytes": "la imagen tiene {bytes} bytes",
    "the image may have {bytes} bytes": "la imagen puede tener {bytes} bytes",
    "the image is not good": "la imagen no es válida",
    "the image is just being removed": "la imagen se está quitando",
    "the file is no PNG, JPEG or WebP": "el archivo no es PNG, JPEG ni WebP",
    "the upload is not good": "la subida no es válida",
    "the upload ticket is not good": "el permiso de subida no es válido",
    "another picture was uploaded before: ask for another ticket": (
        "ya se subió otra imagen: pida otro permiso"
    ),
    "too many images are uploaded at the moment": "se suben demasiadas imágenes en este momento",
    "too many images are decoded at the moment": "se leen demasiadas imágenes en este momento",
    # Of the feed and of dead letters.
    "{reason}: take a new snapshot; or follow from now on, and take the log's events since then: GET "
    "{target}, in pages or as an export (Accept: application/x-ndjson)": (
        "{reason}: haga una nueva instantánea; o siga desde ahora, y tome los eventos del registro desde "
        "entonces: GET {target}, por páginas o como exportación (Accept: application/x-ndjson)"
    ),
    "the stream of events ends before this position: it was cut, or is another one": (
        "el flujo de eventos termina antes de esta posición: se cortó, o es otro"
    ),
    "the stream of events does not reach back to this position": (
        "el flujo de eventos no llega hasta esta posición"
    ),
    "the stream of events does not have this position's event there any more": (
        "el flujo de eventos ya no tiene ahí el evento de esta posición"
    ),
    "the ticket was used: ask for another one": "el permiso ya se usó: pida otro",
    "the ticket has expired: ask for another one": "el permiso ha caducado: pida otro",
    "this is no ticket of this API": "no es un permiso de esta API",
    "this process ends": "este proceso termina",
    "the search was not done within {seconds} s: ask for less": (
        "la búsqueda no se completó en {seconds} s: pida menos"
    ),
    "too many clients look for the end of the stream of events": (
        "demasiados clientes buscan el final del flujo de eventos"
    ),
    "too many clients read older events at the moment": "demasiados clientes leen eventos anteriores ahora",
    "the end of the stream of events is not known": "no se conoce el final del flujo de eventos",
    "the stream of events is not read up to this position yet": (
        "el flujo de eventos todavía no se ha leído hasta esta posición"
    ),
    "a queue of dead letters is {queue} or events.NAME.dead, not {other}": (
        "una cola de mensajes muertos es {queue} o events.NAME.dead, no {other}"
    ),
    "there is no dead letter {id} among the first {number}": (
        "no hay ningún mensaje muerto {id} entre los primeros {number}"
    ),
    "there is no dead letter {id} any more": "ya no hay ningún mensaje muerto {id}",
    "the message does not tell its partition: its queue is {queue}": (
        "el mensaje no dice su partición: su cola es {queue}"
    ),
    # Of parts that are away.
    "RabbitMQ is not connected": "RabbitMQ no está conectado",
    "RabbitMQ is blocked by an alarm of its own": "RabbitMQ está bloqueado por una alarma suya",
    "RabbitMQ's queues are full, or not there": "las colas de RabbitMQ están llenas, o no están",
    "too many commands wait for RabbitMQ's confirm": (
        "demasiados comandos esperan la confirmación de RabbitMQ"
    ),
    "RabbitMQ: {fault}": "RabbitMQ no responde como debe en este momento",
    "MongoDB gave no more, though there is more": "MongoDB no dio más, aunque hay más",
    "MongoDB does not answer: {fault}": "MongoDB no responde: {fault}",
    "MongoDB: {fault}": "MongoDB no responde como debe en este momento",
    "Cloudinary {fault}": "Cloudinary no responde como debe en este momento",
    "documents are older than projection {name}: run `rollcall rebuild`": (
        "hay documentos más antiguos que la proyección {name}: ejecute `rollcall rebuild`"
    ),
    "an event has schema {schema}, and this version of Rollcall knows those up to {newest}: upgrade it": (
        "un evento tiene el esquema {schema}, y esta versión de Rollcall conoce hasta {newest}: actualícela"
    ),
    "an event has schema 1, with values in the clear: such a log is not read any more": (
        "un evento tiene el esquema 1, con valores en claro: un registro así ya no se lee"
    ),
    "an event has schema {schema}, which no version of Rollcall wrote": (
        "un evento tiene el esquema {schema}, que no escribió ninguna versión de Rollcall"
    ),
    "a person schema has come into force that makes a value unique": (
        "ha entrado en vigor un esquema de personas que hace único un valor"
    ),
    "number {number} of the person schema is newer than {own}, by which this process goes": (
        "el número {number} del esquema de personas es más nuevo que el {own}, que sigue este proceso"
    ),
    "this process's clock is {seconds} s {side} MongoDB's": (
        "el reloj de este proceso está a {seconds} s del de MongoDB"
    ),
    "this is our fault, and it was logged": "la culpa es nuestra, y queda registrada",
}
"""By sentence in English, the sentence in Spanish."""
