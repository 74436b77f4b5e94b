"""Reads the broker's address, which may name several nodes."""

import re
from urllib.parse import urlsplit

_FORM = re.compile(
    r"(?P<before>amqps?://(?:[^/?#]*@)?)(?P<hosts>[^/?#@]+)(?P<after>[/?][^#]*)?", re.IGNORECASE
)
_WANTED = "want amqp://user:password@host:port,host:port/vhost"


def broker_urls(text: str) -> list[str]:
    """Return the URL of each node that an address names.

    The form is that of https://www.rabbitmq.com/docs/uri-spec, with several hosts between commas:
    `amqp://user:password@h1:5672,h2,[::1]:5673/vhost?heartbeat=5`. User, password, virtual host and query
    are those of every node; a port that is left out is the scheme's own. `amqps` is read too.

    Args:
        text: The address; reserved characters in user, password and virtual host are percent-encoded.

    Raises:
        ValueError: It has another form. The message repeats nothing of it, for it has a password.
    """
    form = _FORM.fullmatch(text.strip())
    if form is None:
        raise ValueError(f"not the address of a broker: {_WANTED}")
    urls = [f"{form['before']}{host}{form['after'] or ''}" for host in form["hosts"].split(",")]
    for url in urls:
        try:
            parts = urlsplit(url)
            valid = bool(parts.hostname) and parts.port != 0
        except ValueError:
            valid = False
        if not valid:
            raise ValueError(f"the address of a broker with a bad host or port: {_WANTED}")
    return urls
