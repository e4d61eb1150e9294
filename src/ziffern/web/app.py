"""The application: `/predict`, `/read`, `/health`, `/ready`, `/metrics`, `/docs` and `/openapi.json`."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI
from fastapi.responses import HTMLResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.exceptions import HTTPException
from starlette.routing import Route

from ziffern.text.catalog import Message
from ziffern.web.endpoint import Load
from ziffern.web.keys import Entrance
from ziffern.web.limits import Limits
from ziffern.web.model import ServedModel
from ziffern.web.openapi import describe, page
from ziffern.web.predict import Predict
from ziffern.web.problems import RETRY, ProblemError, answer_failure, answer_http_error
from ziffern.web.read import Read

POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'"


def make_app(model: ServedModel, limits: Limits, keys: frozenset[bytes] = frozenset()) -> FastAPI:
    """Return the application; its model is loaded when the server starts it.

    Args:
        model: The model.
        limits: What `/predict` and `/read` refuse.
        keys: Hashes of the keys, one of which each request needs; without keys, none does.
    """
    registry = CollectorRegistry()
    load = Load(limits, registry)
    predict, read = Predict(model, load, registry), Read(load)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await asyncio.to_thread(predict.start)
        yield
        predict.close()
        read.close()

    app = FastAPI(
        title=f"ziffern: {model.name}",
        version=version("ziffern"),
        lifespan=lifespan,
        docs_url=None,  # this page and the next load files of other hosts
        redoc_url=None,
        redirect_slashes=False,  # to whatever the Host header names
    )
    for path, endpoint in (("/predict", predict), ("/read", read)):
        app.router.routes.append(Route(path, endpoint, methods=["POST"]))  # answers 405 to other methods
    app.add_exception_handler(HTTPException, answer_http_error)
    app.add_exception_handler(Exception, answer_failure)
    app.add_middleware(Entrance, keys=keys, predict=predict)

    @app.get("/health", summary="Whether the process runs")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/ready", summary="Whether it accepts requests now")
    async def ready() -> Response:
        if not predict.is_loaded or load.is_full:
            return ProblemError(503, Message("web.busy"), RETRY).response()
        return Response(b'{"status":"ready"}', media_type="application/json")

    @app.get("/metrics", summary="Figures for Prometheus, of all worker processes")
    async def metrics() -> Response:
        shown = registry
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            MultiProcessCollector(shown := CollectorRegistry())  # type: ignore[no-untyped-call]
        return Response(generate_latest(shown), headers={"Content-Type": CONTENT_TYPE_LATEST})

    @app.get("/", include_in_schema=False)
    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(
            page(schema=app.openapi(), model=model, limits=limits), headers={"Content-Security-Policy": POLICY}
        )

    describe(app.openapi(), bool(keys))
    return app
