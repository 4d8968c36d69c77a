"""ClickHouse's HTTP interface in front of chdb: `serve.py PORT DIRECTORY`. Runs in the environment of the recipe."""

import asyncio
import re
import sys
from urllib.parse import parse_qsl

from aiohttp import web
from chdb import session

CODE = re.compile(r"Code: (\d+)")
NOT_SETTINGS = {"query", "database", "user", "password"}
LARGEST = 1 << 30


def main() -> None:
    """Serve until a signal comes."""
    engine = session.Session(sys.argv[2])
    lock = asyncio.Lock()

    async def ping(_request: web.Request) -> web.Response:
        return web.Response(text="Ok.\n")

    async def query(request: web.Request) -> web.Response:
        body = await request.read()
        options = dict(parse_qsl(request.query_string, keep_blank_values=True))
        text = options.get("query", "")
        async with lock:
            try:
                answer = await asyncio.to_thread(run, text, body, options)
            except RuntimeError as error:
                found = CODE.search(str(error))
                code = found[1] if found else "1002"
                status = {"60": 404, "81": 404, "516": 403}.get(code, 400 if int(code) < 200 else 500)
                return web.Response(status=status, text=str(error), headers={"X-ClickHouse-Exception-Code": code})
        return web.Response(body=answer)

    def run(text: str, body: bytes, options: dict[str, str]) -> bytes:
        settings = [f"{key} = '{value}'" for key, value in options.items() if key not in NOT_SETTINGS]
        database = options.get("database")
        if database:
            engine.query(f"USE `{database}`")
        if settings:
            engine.query(f"SET {', '.join(settings)}")
        return engine.query(f"{text}\n{body.decode()}" if body else text).bytes() or b""

    app = web.Application(client_max_size=LARGEST)
    app.router.add_get("/ping", ping)
    app.router.add_post("/", query)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)


if __name__ == "__main__":
    main()
