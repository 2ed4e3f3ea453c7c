"""HTTP/1.1 on a connection: what cannot be read as a request gets a problem response, too."""

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from service_kit.problems import problem

MOST_BYTES = 65_536
"""Of all that comes before a request's body. The parser itself would take any amount."""


class _TooLarge(Exception):
    """What comes before the body has too many bytes."""


class ProblemProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with problem responses and a bound on what comes before the body."""

    _before_body = True
    _bytes_before_body = 0

    def data_received(self, data: bytes) -> None:
        if self._before_body:
            self._bytes_before_body += len(data)
        super().data_received(data)
        if self._too_large() and not self.transport.is_closing():
            self.send_400_response("")

    def on_header(self, name: bytes, value: bytes) -> None:
        # White space around a value is none of it (RFC 9110, 5.5); the parser leaves what follows.
        super().on_header(name, value.strip(b" \t"))

    def on_headers_complete(self) -> None:
        lines = sum(len(name) + len(value) + len(": \r\n") for name, value in self.headers)
        self._bytes_before_body = len(self.url) + lines
        if self._too_large():
            raise _TooLarge  # the parser makes it an error of its own
        super().on_headers_complete()
        self._before_body = False

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._before_body, self._bytes_before_body = True, 0

    def send_400_response(self, msg: str) -> None:
        if not self._too_large():
            status, detail = 400, "This is no HTTP/1.1 request."
        elif len(self.url) > MOST_BYTES // 2:
            status, detail = 414, f"The URL has too many bytes; {MOST_BYTES // 2} are fine."
        else:
            status, detail = 431, f"The headers have more than {MOST_BYTES} bytes."
        response = problem(status, detail, {"Connection": "close"})
        lines = [
            name + b": " + value + b"\r\n"
            for name, value in (*self.server_state.default_headers, *response.raw_headers)
        ]
        self.transport.write(b"".join((STATUS_LINE[status], *lines, b"\r\n", response.body)))
        self.transport.close()

    def _too_large(self) -> bool:
        return self._before_body and self._bytes_before_body > MOST_BYTES
