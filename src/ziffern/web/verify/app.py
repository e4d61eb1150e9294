"""The application of `ziffern verify`: its addresses, and what each of them answers.

Decisions: entries are sent by POST and as JSON alone, which no form of another site can send; every field has an
address of its own.
"""

from collections.abc import Callable
from typing import Annotated, Any, Literal
from urllib.parse import parse_qs, quote, unquote

import msgspec
from fastapi import FastAPI, HTTPException, Query, Request
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.staticfiles import StaticFiles

from ziffern.errors import InputError, OutputError
from ziffern.reading.decisions import MAX_SECONDS, MAX_VALUE, UnsavedError, decided
from ziffern.reading.verified import values_csv, write_examples
from ziffern.text.language import LANGUAGES
from ziffern.text.printable import printable
from ziffern.web.verify.pictures import Pictures
from ziffern.web.verify.queue import Name, Queue
from ziffern.web.verify.views import AHEAD, HERE, Entry, Place, Undo, Views, words_of

MAX_NAME = 40  # characters of a person's name
NAME_SECONDS = 30 * 86400  # for which a browser keeps it


def make_app(queue: Queue) -> FastAPI:
    """Return the application."""
    handlers: dict[Any, Any] = {
        InputError: lambda request, error: _problem(request, error, 404),
        UnsavedError: lambda request, error: _problem(request, error, 503),
        OutputError: lambda _, error: PlainTextResponse(f"{error.filename}: {error.strerror}", 503),
    }
    without: dict[str, Any] = {"docs_url": None, "redoc_url": None, "openapi_url": None, "redirect_slashes": False}
    app = FastAPI(**without, exception_handlers=handlers)
    app.mount("/static", StaticFiles(directory=HERE / "static"))
    for add in (_add_pictures, _add_start, _add_results, _add_fields):
        add(app, Views(queue))
    return app


def _add_pictures(app: FastAPI, views: Views) -> None:
    """Add the pictures, and the lists of valid values."""
    queue, pictures = views.queue, Pictures(views.queue.folder)

    @app.get("/picture/{kind}/{page}/{index}")
    def picture(kind: Literal["crop", "context", "page"], page: int, index: int) -> Response:
        key = views.key((page, index))
        image, field = queue.reading.pages[page].image, queue.fields[key]
        if kind == "crop":
            content = pictures.crop(image, field)
        else:
            content = pictures.context(image, field.box) if kind == "context" else pictures.page(image)
        form = "image/png" if kind == "crop" else "image/jpeg"
        return Response(content, media_type=form, headers={"cache-control": "private, max-age=3600"})

    @app.get("/values")
    def values(field: str) -> Response:
        return JSONResponse(queue.reading.lists.get(field, []), headers={"cache-control": "no-store"})


def _add_start(app: FastAPI, views: Views) -> None:
    """Add the overview, and the form for a name."""
    queue = views.queue

    @app.get("/")
    def root(request: Request) -> Response:
        wanted = request.headers.get("accept-language", "").lower().split(",")
        first = next((word.strip()[:2] for word in wanted if word.strip()[:2] in LANGUAGES), LANGUAGES[0])
        return RedirectResponse(f"/{first}/", 303)

    @app.get("/{language}/")
    def start(request: Request, language: str) -> Response:
        now = queue.progress()
        more = {"batch": queue.folder.resolve().name, "samples": len(queue.open["sample"]), "people": now.people}
        more |= {"examples": request.query_params.get("examples", ""), "double": queue.standing.needed > 1}
        return views.page(language, "start.html", person=_person(request), here="/", **more)

    @app.post("/{language}/name")
    async def name(request: Request, language: str) -> Response:
        words_of(language)
        chosen = parse_qs((await request.body()).decode("utf-8", "replace")).get("name", [""])[0].strip()
        answer = RedirectResponse(f"/{language}/", 303)
        if 0 < len(chosen) <= MAX_NAME and printable(chosen) == chosen:
            answer.set_cookie(_cookie(request), quote(chosen), NAME_SECONDS, httponly=True, samesite="strict")
        return answer


def _add_results(app: FastAPI, views: Views) -> None:
    """Add the table of values, and the examples. Both are those on the disk, so that nobody waits for a lock."""
    queue = views.queue

    @app.get("/{language}/values.csv")
    def table(language: str) -> Response:
        words_of(language)
        text = values_csv(queue.reading, decided(queue.folder, queue.reading))
        headers = {"content-disposition": 'attachment; filename="values.csv"'}
        return Response(text, media_type="text/csv", headers=headers)

    @app.post("/{language}/examples")
    def examples(request: Request, language: str) -> Response:
        words_of(language)
        _known(request)
        count = write_examples(queue.folder, queue.reading, decided(queue.folder, queue.reading))
        return RedirectResponse(f"/{language}/?examples={count}", 303)


def _add_fields(app: FastAPI, views: Views) -> None:
    """Add the pages of fields, and the requests of their script."""
    queue = views.queue

    @app.post("/{language}/decide")
    async def decide(request: Request, language: str) -> Response:
        person, entry, words = _known(request), await _sent(request, Entry), words_of(language)
        if entry.problem():
            raise HTTPException(422)
        seconds = min(max(entry.seconds, 0.0), MAX_SECONDS)
        what = (person, views.key(entry.place), entry.kind, entry.value, seconds, entry.queue)
        await run_in_threadpool(queue.decide, *what)
        return await run_in_threadpool(views.answer, person, entry, words, {})

    @app.get("/{language}/doubt/{page}/{index}")
    def doubt(language: str, page: int, index: int, value: Annotated[str, Query(max_length=MAX_VALUE)]) -> Response:
        return PlainTextResponse(views.doubt(views.key((page, index)), value, words_of(language)))

    @app.post("/{language}/undo")
    async def undo(request: Request, language: str) -> Response:
        person, sent, words = _known(request), await _sent(request, Undo), words_of(language)
        key = await run_in_threadpool(queue.undo, person, sent.at)
        more = {"undone": views.cards([key], words, sent.queue) if key else ""}
        return await run_in_threadpool(views.answer, person, sent, words, more)

    def work(request: Request, language: str, name: Name, first: Place | None) -> Response:
        words, person = words_of(language), _person(request)
        if not person:
            return RedirectResponse(f"/{language}/", 303)
        held = [views.key(first)] if first else []
        keys = [*held, *queue.take(person, name, held, AHEAD)]
        here = f"/field/{first[0]}/{first[1]}" if first else f"/{name}"
        cards = [views.field(key, words, name) for key in keys]
        return views.page(language, "work.html", here=here, cards=cards, queue=name)

    @app.get("/{language}/field/{page}/{index}")
    def one(request: Request, language: str, page: int, index: int, queue: Name = "review") -> Response:
        return work(request, language, queue, (page, index))

    @app.get("/{language}/{name}")
    def listed(request: Request, language: str, name: Name) -> Response:
        return work(request, language, name, None)


def _problem(request: Request, error: InputError, status: int) -> Response:
    code = request.path_params.get("language")
    return PlainTextResponse(error.message.in_language(code) if code in LANGUAGES else str(error), status)


def _cookie(request: Request) -> str:
    return f"ziffern-name-{request.scope['server'][1]}"


def _person(request: Request) -> str:
    """Return who sends a request: by password, or else by the name typed on this machine."""
    name: str = request.scope.get("ziffern.person") or unquote(request.cookies.get(_cookie(request), ""))
    return name if len(name) <= MAX_NAME and printable(name) == name else ""


def _known(request: Request) -> str:
    if person := _person(request):
        return person
    raise HTTPException(401)


async def _sent(request: Request, kind: Callable[..., Any]) -> Any:
    if request.headers.get("content-type") != "application/json":
        raise HTTPException(415)
    try:
        return msgspec.json.decode(await request.body(), type=kind)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise HTTPException(422) from error
